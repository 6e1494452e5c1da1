//! What becomes of a request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use trellis_core::Share;
use trellis_resilience::RetryPolicy;

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
    /// Never empty, and not all without weight.
    pub(crate) split: Box<[Destination]>,
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
    pub(crate) weight: u32,
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
    pub(crate) delay: Option<Duration>,
    pub(crate) delay_share: Share,
    pub(crate) abort: Option<StatusCode>,
    pub(crate) abort_share: Share,
    pub(crate) when: Option<Condition>,
}

impl Forward {
    /// Where a request goes: the first canary that fits, else one of the split, by its key or by `draw`, which is
    /// random.
    pub(crate) fn destination(&self, view: &View<'_>, params: &Params<'_>, draw: u64) -> &Destination {
        if let Some(canary) = self.canary.iter().find(|canary| canary.matchers.fit(view, params)) {
            return &canary.to;
        }
        let [only] = &*self.split else {
            let key = self.sticky.as_ref().and_then(|key| key.of(view, params));
            return self.weighted(key.map_or(draw, |key| stable_hash(key.as_bytes())));
        };
        only
    }

    /// The destination at `point` of the whole, where each has a stretch as long as its weight.
    fn weighted(&self, point: u64) -> &Destination {
        let total: u64 = self.split.iter().map(|to| u64::from(to.weight)).sum();
        let mut rest = ((u128::from(point) * u128::from(total)) >> 64) as u64;
        for to in &self.split {
            match rest.checked_sub(u64::from(to.weight)) {
                Some(less) => rest = less,
                None => return to,
            }
        }
        &self.split[self.split.len() - 1]
    }
}

impl Fault {
    /// The wait and the answer that a request gets on purpose. The draws are random in `0.0..1.0`.
    pub(crate) fn strike(
        &self,
        view: &View<'_>,
        params: &Params<'_>,
        draws: [f64; 2],
    ) -> (Option<Duration>, Option<StatusCode>) {
        let delay = self.delay.filter(|_| self.delay_share.includes(draws[0]));
        let abort = self.abort.filter(|_| self.abort_share.includes(draws[1]));
        let is_meant = (delay.is_some() || abort.is_some())
            && self.when.as_ref().is_none_or(|when| when.holds(view, params));
        if is_meant { (delay, abort) } else { (None, None) }
    }
}

/// The same for the same bytes, on every machine and in every version: FNV-1a, with its bits mixed for the upper ones
/// to count.
pub(crate) fn stable_hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}
