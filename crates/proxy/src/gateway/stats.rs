//! What has happened since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use trellis_core::{Code, codes};

/// Counts since the start of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Requests that have begun.
    pub requests: u64,
    /// Requests under way, up to the last byte of their answer.
    pub in_flight: u64,
    /// How the others ended: `2xx` to `5xx` for the answers of services, the gateway's own code (`TRL1003`) where it
    /// answered itself or an answer broke off, `client_gone` where nobody was left to answer. Zeros are left out.
    pub outcomes: BTreeMap<&'static str, u64>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A service answered with this status.
    Status(u16),
    /// The gateway says why not.
    Failed(Code),
    /// The client went away.
    ClientGone,
}

/// What one worker has counted.
#[derive(Debug, Default)]
#[repr(align(128))] // no cache line is shared with another worker
pub(super) struct Counters {
    requests: AtomicU64,
    in_flight: AtomicU64,
    by_class: [AtomicU64; CLASSES.len()],
    by_code: [AtomicU64; CODES.len()],
    client_gone: AtomicU64,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What the gateway can say itself; the last stands for any other.
const CODES: [Code; 19] = [
    codes::NO_ROUTE,
    codes::METHOD_NOT_ALLOWED,
    codes::NO_ENDPOINT,
    codes::BREAKER_OPEN,
    codes::CONNECT_FAILED,
    codes::UPSTREAM_TIMEOUT,
    codes::UPSTREAM_RESET,
    codes::UPSTREAM_INVALID,
    codes::BODY_TOO_LARGE,
    codes::BAD_REQUEST,
    codes::AGGREGATE_FAILED,
    codes::DEADLINE_EXCEEDED,
    codes::SHUTTING_DOWN,
    codes::OVERLOADED,
    codes::CLIENT_TIMEOUT,
    codes::RATE_LIMITED,
    codes::FAULT_INJECTED,
    codes::UPGRADE_NOT_CARRIED,
    codes::INTERNAL,
];

const CLIENT_GONE: &str = "client_gone";

impl Counters {
    /// Counts a request as begun.
    pub(super) fn begin(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Status(status) => &self.by_class[usize::from(status / 100).clamp(1, 5) - 1],
            Outcome::Failed(code) => {
                // A code may come with another status than its own.
                let index = CODES.iter().position(|known| known.id == code.id);
                &self.by_code[index.unwrap_or(CODES.len() - 1)]
            }
            Outcome::ClientGone => &self.client_gone,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests under way.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let classes = CLASSES.into_iter().zip(&self.by_class);
        let codes = CODES.iter().map(|code| code.id).zip(&self.by_code);
        let named = classes.chain(codes).chain([(CLIENT_GONE, &self.client_gone)]);
        named.map(|(name, count)| (name, count.load(Ordering::Relaxed))).filter(|(_, count)| *count > 0)
    }
}

/// What all workers have counted together.
pub(super) fn read(workers: &[Counters]) -> Stats {
    let mut stats = Stats::default();
    for counters in workers {
        stats.requests += counters.requests.load(Ordering::Relaxed);
        stats.in_flight += counters.in_flight();
        for (name, count) in counters.outcomes() {
            *stats.outcomes.entry(name).or_default() += count;
        }
    }
    stats
}

impl Outcome {
    /// What the access log shows: nothing for an answer that came from a service.
    pub(super) fn flag(self) -> Option<&'static str> {
        match self {
            Self::Status(_) => None,
            Self::Failed(code) => Some(code.id),
            Self::ClientGone => Some(CLIENT_GONE),
        }
    }
}
