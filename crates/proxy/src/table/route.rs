//! One route.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use super::captures::{Captures, Params};
use super::tree::Hit;
use super::view::View;
use super::{Fault, HeaderEdits, Host, Matchers, MethodSet, RateLimit, Target};
use crate::edge::compress::Compression;
use crate::edge::cors::Cors;

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// Its place in the table.
    pub(crate) index: usize,
    /// Its path, or regular expression, as it is written.
    pub(crate) path: Box<str>,
    /// Where it is written: `route[2]`.
    pub(crate) origin: String,
    pub(crate) methods: MethodSet,
    /// All if empty.
    pub(crate) hosts: Box<[Host]>,
    /// None if nothing but path, host and method is asked for.
    pub(crate) matchers: Option<Box<Matchers>>,
    pub(crate) captured: Captured,
    pub(crate) target: Target,
    /// Longest wait for an answer to begin, where no cluster has a say.
    pub(crate) timeout: Duration,
    /// Largest request body.
    pub(crate) max_body_bytes: u64,
    /// Most requests at once.
    pub(crate) max_requests: Option<u32>,
    pub(crate) request_headers: Option<HeaderEdits>,
    pub(crate) response_headers: Option<HeaderEdits>,
    pub(crate) rate_limits: Box<[RateLimit]>,
    pub(crate) fault: Option<Fault>,
    pub(crate) cors: Option<Arc<Cors>>,
    pub(crate) compression: Option<Arc<Compression>>,
}

/// The parameters of a route.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// Their names: of a group without one its number.
    pub(crate) names: Box<[Box<str>]>,
    /// Which segments they are, in a path.
    pub(crate) places: Box<[u16]>,
    /// What finds them, in a regular expression.
    pub(crate) regex: Option<Regex>,
}

impl Route {
    /// The parameters under their names. `path` is the path of the request that `captures` are from.
    pub(crate) fn params<'a>(&'a self, captures: &'a Captures, path: &'a str) -> Params<'a> {
        captures.named(&self.captured.names, path)
    }

    /// Whether the request has what is asked for besides path, host and method.
    pub(super) fn fits(&self, hit: &Hit, view: &View<'_>) -> bool {
        let Some(matchers) = &self.matchers else { return true };
        // Only a condition looks at parameters.
        let captures = match matchers.when {
            Some(_) => self.captures(hit, view.path()),
            None => Captures::default(),
        };
        matchers.fit(view, &self.params(&captures, view.path()))
    }

    pub(super) fn captures(&self, hit: &Hit, path: &str) -> Captures {
        Captures::of_path(path, &self.captured.places, hit.tail())
    }

    /// Conditions that had no answer so far.
    pub(super) fn failed_conditions(&self) -> u64 {
        let canaries = match &self.target {
            Target::Forward(forward) => &*forward.canary,
            _ => &[],
        };
        let matchers = self.matchers.as_deref().into_iter().chain(canaries.iter().map(|c| &c.matchers));
        let fault = self.fault.as_ref().and_then(|fault| fault.when.as_ref());
        matchers.filter_map(|m| m.when.as_ref()).chain(fault).map(super::Condition::failures).sum()
    }
}
