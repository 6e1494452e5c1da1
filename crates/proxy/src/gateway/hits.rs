//! What limits keep out, by the name of the limit.

use std::sync::Arc;

use crate::metrics::{LimitMetrics, Registry};

/// One count for each limit of the gateway; `docs/manifest.md` has the settings behind them.
#[derive(Debug)]
pub(super) struct Hits {
    /// `[gateway] max_requests`
    pub(super) requests: Arc<LimitMetrics>,
    /// `max_requests` of a route.
    pub(super) route_requests: Arc<LimitMetrics>,
    /// `rate_limit` of a route.
    pub(super) rate_limit: Arc<LimitMetrics>,
    /// Requests that went past a shared `rate_limit`, because nobody counted.
    pub(super) uncounted: Arc<LimitMetrics>,
    /// Copies that were too many at once, or too large.
    pub(super) mirror: Arc<LimitMetrics>,
}

impl Hits {
    pub(super) fn new(metrics: &Registry) -> Self {
        Self {
            requests: metrics.limit("max_requests"),
            route_requests: metrics.limit("route_max_requests"),
            rate_limit: metrics.limit("rate_limit"),
            uncounted: metrics.limit("rate_limit_uncounted"),
            mirror: metrics.limit("mirror"),
        }
    }
}
