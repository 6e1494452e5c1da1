//! Settings of the gateway that do not belong to a route.

use trellis_core::model;
use trellis_net::{ClusterOptions, PoolOptions, ServeOptions};

/// Bounds and behaviour of a [`Gateway`](crate::Gateway).
#[derive(Debug, Clone)]
pub struct Options {
    /// Towards clients.
    pub serve: ServeOptions,
    /// Towards instances.
    pub pool: PoolOptions,
    /// Among instances.
    pub cluster: ClusterOptions,
    /// Most requests carried at once; more are refused with 503 TRL1014.
    pub max_requests: u32,
    /// Write a log line for each request.
    pub access_log: bool,
}

impl From<&model::Gateway> for Options {
    fn from(model: &model::Gateway) -> Self {
        Self {
            serve: ServeOptions {
                max_header_bytes: model.max_header_bytes,
                header_timeout: model.header_timeout.into(),
                max_connections: model.max_connections,
                drain: model.drain.into(),
                ..ServeOptions::default()
            },
            pool: PoolOptions {
                connect_timeout: model.connect_timeout.into(),
                max_idle_per_endpoint: model.max_idle_connections as usize,
                ..PoolOptions::default()
            },
            cluster: ClusterOptions::from(model),
            max_requests: model.max_requests,
            access_log: model.access_log,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::from(&model::Gateway::default())
    }
}
