//! What can be set.

use std::net::SocketAddr;
use std::time::Duration;

use trellis_core::model;
use trellis_net::ServeOptions;

/// Where the door is, and how much it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Largest body of a registration, in bytes; over it, 413.
    pub max_body_bytes: u64,
    /// Most connections at once; more wait to be accepted.
    pub max_connections: u32,
    /// How far back the differences of `apps/delta` reach; more than the pause between two questions of a client.
    pub delta_window: Duration,
    /// What the status page says of where this is.
    pub datacenter: String,
}

impl Options {
    /// The bounds of its listener.
    pub fn limits(&self) -> ServeOptions {
        // Clients of Eureka ask on short connections, or ask again.
        ServeOptions {
            max_connections: self.max_connections,
            linger: Duration::ZERO,
            ..ServeOptions::default()
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::from(&model::Eureka::default())
    }
}

impl From<&model::Eureka> for Options {
    fn from(model: &model::Eureka) -> Self {
        Self {
            listen: model.listen,
            max_body_bytes: model.max_body_bytes,
            max_connections: model.max_connections,
            delta_window: model.delta_window.0,
            datacenter: model.datacenter.clone(),
        }
    }
}
