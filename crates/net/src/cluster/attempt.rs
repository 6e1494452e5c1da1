//! A request on its way.

use std::sync::Arc;
use std::time::Instant;

use trellis_core::InstanceId;
use trellis_resilience::breaker::Outcome;
use trellis_resilience::limit::{Full, Permit};
use trellis_resilience::{Admission, ConcurrencyLimit};

use super::members::Member;
use crate::Received;

/// A request on its way to a member. Dropped without a verdict (the client went away) it counts neither for nor
/// against the member.
#[derive(Debug)]
pub struct Attempt {
    member: Arc<Member>,
    admission: Option<Admission>,
    pub(super) since: Instant,
    /// Whether something of the request may have left us.
    pub(super) has_begun: bool,
    is_load: bool,
    permit: Option<Permit>,
}

/// What is known of a request while it is on its way, for whoever waits for the answer and may have to say why it did
/// not come.
#[derive(Debug, Default)]
pub struct Flight {
    pub(super) attempt: Option<Attempt>,
    /// Counts as one of the requests that the cluster carries at once.
    pub(super) permit: Option<Permit>,
    /// Connections tried.
    pub attempts: u32,
}

// === impl Attempt ===

impl Attempt {
    pub(super) fn new(member: Arc<Member>, admission: Admission, now: Instant) -> Self {
        member.begin();
        Self { member, admission: Some(admission), since: now, has_begun: false, is_load: true, permit: None }
    }

    pub(super) fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// Tells the breaker how it went; the load is counted until the attempt is dropped. False if it knows already.
    pub(super) fn verdict(&mut self, outcome: Outcome, now: Instant) -> bool {
        let Some(admission) = self.admission.take() else { return false };
        self.member.shared.breaker.record(admission, outcome, now);
        true
    }

    /// It has failed, and what follows is no load of this member.
    pub(super) fn rest(&mut self) {
        if std::mem::take(&mut self.is_load) {
            self.member.end();
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.rest();
        if self.admission.is_some() {
            self.verdict(Outcome::Ignored, tokio::time::Instant::now().into_std());
        }
    }
}

// === impl Flight ===

impl Flight {
    /// The instance that is being asked, or was asked last.
    pub fn instance(&self) -> Option<&InstanceId> {
        self.attempt.as_ref().map(|attempt| &attempt.member().endpoint.id)
    }

    /// Counts the request as load until its answer has been read, or given up.
    pub fn until_read(self, body: Received) -> Received {
        match self.until_dropped() {
            Some(attempt) => body.counted(attempt),
            None => body,
        }
    }

    /// What counts the request as load until it is dropped: for a tunnel, say.
    pub fn until_dropped(self) -> Option<Attempt> {
        let mut attempt = self.attempt?;
        attempt.permit = self.permit;
        Some(attempt)
    }

    /// Takes a place among the requests that `limit` lets through.
    pub(super) fn enter(&mut self, limit: &ConcurrencyLimit, now: Instant) -> Result<(), Full> {
        self.permit = Some(limit.try_acquire(now)?);
        Ok(())
    }

    /// The limit learns how long an answer took to begin. One that took several attempts says nothing, since the waits
    /// between them are in it.
    pub(super) fn took(&self, is_overloaded: bool, now: Instant) {
        if let Some(permit) = self.permit.as_ref().filter(|_| is_overloaded || self.attempts == 1) {
            permit.observe(is_overloaded, now);
        }
    }
}
