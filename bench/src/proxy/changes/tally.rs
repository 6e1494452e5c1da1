//! What the load saw, added up.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Failures that are told closely.
const TOLD: usize = 20;
/// The histogram's ceiling, in microseconds.
const MAX_MICROS: u64 = 60_000_000;

/// One request that failed.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// When it should have been sent, in milliseconds since the load began.
    pub at_ms: f64,
    /// How long it took from then to fail.
    pub after_ms: f64,
    /// Its method and path.
    pub request: String,
    /// What did not work: a system call, the status, the answer.
    pub step: String,
    /// What was said about it.
    pub cause: String,
    /// Requests that its connection had carried before; none if there was no connection.
    pub carried: Option<u64>,
}

/// Filled by all requests.
pub(super) struct Tally(Mutex<Seen>);

/// What was seen.
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) micros: Histogram<u64>,
    pub(super) reasons: BTreeMap<String, u64>,
    pub(super) failures: Vec<Failure>,
    pub(super) connections: u64,
    pub(super) closed_unasked: u64,
    /// The numbers of the POST requests that were answered well.
    pub(super) posted: Vec<u64>,
}

impl Tally {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Mutex::new(Seen {
            requests: 0,
            micros: Histogram::new_with_max(MAX_MICROS, 3).context("cannot make a histogram")?,
            reasons: BTreeMap::new(),
            failures: Vec::new(),
            connections: 0,
            closed_unasked: 0,
            posted: Vec::new(),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// One that was answered well; `post` is its number if it was a POST.
    pub(super) fn answered(&mut self, took: Duration, post: Option<u64>) {
        self.requests += 1;
        self.micros.saturating_record(took.as_micros() as u64);
        self.posted.extend(post);
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        self.requests += 1;
        let method = failure.request.split(' ').next().unwrap_or_default();
        // The first words only: what follows is different each time.
        let cause = failure.cause.lines().next().unwrap_or_default();
        *self.reasons.entry(format!("{method}: {}: {cause}", failure.step)).or_default() += 1;
        if self.failures.len() < TOLD {
            self.failures.push(failure);
        }
    }

    /// What was seen so far; an empty one takes its place.
    pub(super) fn take(&mut self) -> Result<Self> {
        let empty = Tally::new()?.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(self, empty))
    }
}
