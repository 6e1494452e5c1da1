//! What a client may ask of the platform itself, as it would of Consul's agent.

use std::sync::Arc;

use trellis_core::Error;
use trellis_runtime::Shutdown;

/// Reads the platform's settings anew and puts into force what can be while it runs. May take its time.
pub type Reload = Arc<dyn Fn() -> Result<(), Error> + Send + Sync>;

/// What the door may do to the platform. By default it may do nothing.
#[derive(Clone, Default)]
pub struct Platform {
    /// Stops the platform in order; `None`: no client may.
    pub leave: Option<Shutdown>,
    /// How settings are read anew; `None`: they cannot be.
    pub reload: Option<Reload>,
}
