//! Where the data plane meets whatever knows the instances.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{EndpointSet, ServiceName};

/// A live view of a service's endpoints. `borrow()` is the current snapshot, `changed()` wakes on the next one; the
/// last value is never missed. When the sender is gone the last snapshot stays valid.
pub type EndpointWatch = watch::Receiver<Arc<EndpointSet>>;

/// Discovery is a watch, not a lookup: subscribe once, then read snapshots without a call.
pub trait Discovery: Send + Sync + 'static {
    /// Watches `service`, known or not yet known. The first snapshot is there at once (empty if nothing is known).
    fn watch(&self, service: &ServiceName) -> EndpointWatch;
}
