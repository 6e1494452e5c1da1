//! Settings of the gateway that do not belong to a route.

use std::path::PathBuf;

use trellis_core::{Share, model};
use trellis_net::{ReadOn, ServeOptions};
use trellis_runtime::workers;

use crate::edge::forwarded::ForwardedOptions;

/// Bounds and behaviour of a [`Gateway`](crate::Gateway).
#[derive(Debug, Clone)]
pub struct Options {
    /// Towards clients.
    pub serve: ServeOptions,
    /// Threads that carry requests; 0 is one for each core. One alone is the caller's own.
    pub workers: usize,
    /// What is believed of what a request says about its client.
    pub forwarded: ForwardedOptions,
    /// Where relative paths of clusters' TLS files start from.
    pub directory: PathBuf,
    /// Most requests carried at once; more are refused with 503 TRL1014.
    pub max_requests: u32,
    /// Write log lines for requests.
    pub access_log: bool,
    /// Share of requests that get one; those that fail always do.
    pub access_log_sample: Share,
}

impl Options {
    /// How many threads carry requests, 1 or more.
    pub(crate) fn workers(&self) -> usize {
        if self.workers == 0 { workers::cores() } else { self.workers }
    }
}

impl From<&model::Gateway> for Options {
    fn from(model: &model::Gateway) -> Self {
        Self {
            serve: ServeOptions {
                max_header_bytes: model.max_header_bytes,
                header_timeout: model.header_timeout.into(),
                idle_timeout: model.idle_timeout.into(),
                stall_timeout: model.stall_timeout.into(),
                read_on: ReadOn { max_bytes: model.max_unread_bytes, timeout: model.unread_timeout.into() },
                max_streams: model.max_streams,
                max_connections: model.max_connections,
                drain: model.drain.into(),
                ..ServeOptions::default()
            },
            workers: model.workers as usize,
            forwarded: ForwardedOptions { trusted_hops: model.trusted_hops, ..ForwardedOptions::default() },
            directory: PathBuf::new(),
            max_requests: model.max_requests,
            access_log: model.access_log,
            access_log_sample: model.access_log_sample,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::from(&model::Gateway::default())
    }
}
