//! What becomes of a request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use trellis_core::Share;
use trellis_resilience::fault::Fault as Injected;
use trellis_resilience::{FaultPolicy, RetryPolicy, Split, balance};

use super::captures::Params;
use super::view::View;
use super::{Condition, Key, Matchers, Template};
use crate::aggregate::Aggregate;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Target {
    Forward(Forward),
    Aggregate(Aggregate),
    Redirect { status: StatusCode, to: Template },
    Respond { status: StatusCode, body: Bytes, content_type: HeaderValue },
}

/// A request that is sent on.
#[derive(Debug)]
pub(crate) struct Forward {
    /// Never empty.
    pub(crate) split: Box<[Destination]>,
    /// The weights of those in `split`, in the same order; not all are 0.
    pub(crate) weights: Split,
    /// Keeps equal requests at one destination.
    pub(crate) sticky: Option<Key>,
    pub(crate) canary: Box<[Canary]>,
    pub(crate) mirror: Option<Mirror>,
    /// The path that is sent on instead.
    pub(crate) rewrite: Option<Template>,
    /// The `Host` that is sent on instead.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) websocket: bool,
}

/// One of the places that a route leads to, with what holds for a request to it: the route's setting, else the
/// cluster's, else the gateway's.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// Its index in the table.
    pub(crate) upstream: usize,
    /// Longest wait for an answer to begin.
    pub(crate) timeout: Duration,
    pub(crate) retry: Option<Arc<RetryPolicy>>,
}

/// Where some requests go instead.
#[derive(Debug)]
pub(crate) struct Canary {
    pub(crate) matchers: Matchers,
    pub(crate) to: Destination,
}

/// Where copies go.
#[derive(Debug, Clone)]
pub(crate) struct Mirror {
    pub(crate) upstream: usize,
    pub(crate) share: Share,
    pub(crate) max_body_bytes: u64,
}

/// A limit of requests over time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RateLimit {
    /// Each key has the limit for itself. Requests without one share one.
    pub(crate) key: Option<Key>,
    pub(crate) requests: u32,
    pub(crate) per: Duration,
    pub(crate) burst: u32,
    /// Redis that counts for all gateways.
    pub(crate) shared: Option<Box<str>>,
}

/// What goes wrong on purpose.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) policy: FaultPolicy,
    pub(crate) when: Option<Condition>,
}

impl Forward {
    /// Where a request goes: the first canary that fits, else one of the split, by its key or by `draw`, which is
    /// random.
    pub(crate) fn destination(&self, view: &View<'_>, params: &Params<'_>, draw: u64) -> &Destination {
        if let Some(canary) = self.canary.iter().find(|canary| canary.matchers.fit(view, params)) {
            return &canary.to;
        }
        if let [only] = &*self.split {
            return only;
        }
        let key = self.sticky.as_ref().and_then(|key| key.of(view, params));
        let picked = match key {
            Some(key) => self.weights.pick_sticky(balance::hash(key.as_bytes())),
            None => self.weights.pick(draw),
        };
        &self.split[picked.unwrap_or(0)]
    }
}

impl Fault {
    /// What a request gets on purpose. The draws are random in `0.0..1.0`.
    pub(crate) fn strike(&self, view: &View<'_>, params: &Params<'_>, draws: [f64; 2]) -> Injected {
        let fault = self.policy.decide(draws);
        let is_meant =
            fault != Injected::default() && self.when.as_ref().is_none_or(|when| when.holds(view, params));
        if is_meant { fault } else { Injected::default() }
    }
}
