//! What can be set.

use std::net::SocketAddr;
use std::time::Duration;

use trellis_core::model;
use trellis_net::ServeOptions;

/// How the door is opened. The node's name and address are the registry's.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The datacenter that clients are told of; asking for another one is refused.
    pub datacenter: String,
    /// Largest body, in bytes; also of a value and of a transaction.
    pub max_body: u64,
    /// Wait of a blocking query that does not say.
    pub default_wait: Duration,
    /// Longest wait of a blocking query; who asks for more gets this. Up to a sixteenth is added, and the limits of
    /// registry and configuration hold as well.
    pub max_wait: Duration,
    /// Most user events that are kept; the oldest make room.
    pub max_events: usize,
    /// Bounds of the listener.
    pub serve: ServeOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self::from(&model::Consul::default())
    }
}

impl From<&model::Consul> for Options {
    fn from(model: &model::Consul) -> Self {
        let serve = ServeOptions { max_connections: model.max_connections, ..ServeOptions::default() };
        Self {
            listen: model.listen,
            datacenter: model.datacenter.clone(),
            max_body: model.max_body,
            default_wait: model.default_wait.0,
            max_wait: model.max_wait.0,
            max_events: usize::try_from(model.max_events).unwrap_or(usize::MAX),
            serve,
        }
    }
}
