//! What others do with the configuration: see `kv/facade.rs` and `versioned/facade.rs` for its two faces.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::cells::Kind;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::options::Options;

/// The configuration, for everyone but itself. Clones are the same configuration.
#[derive(Clone)]
pub struct Handle {
    engine: Arc<Engine>,
}

impl Handle {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What it was set up with.
    pub fn options(&self) -> &Options {
        &self.engine.options
    }

    /// The revision of the last change, of anything.
    pub fn revision(&self) -> u64 {
        self.engine.snapshot().revision
    }

    /// Takes in what other nodes have written by now, for reads that must not be older than this call.
    pub async fn sync(&self) -> Result<()> {
        if self.engine.members.is_some() { self.engine.refresh(None).await } else { Ok(()) }
    }

    /// How many requests wait for a change.
    pub fn waiting(&self) -> usize {
        self.engine.options.max_waiters.saturating_sub(self.engine.waiters.available_permits())
    }

    /// How many changes wait for the next write.
    pub fn changes_waiting(&self) -> usize {
        self.engine.changes.len()
    }

    /// How many sessions with a time to live this node counts the time of.
    pub fn sessions_counted(&self) -> usize {
        self.engine.deadlines().len()
    }

    /// How many answers were made for those who follow keys, since the start. The others got one that was there.
    pub fn answers_made(&self) -> u64 {
        self.engine.answers_made.load(Ordering::Relaxed)
    }

    /// Whether secrets are shown to a client at this address, if it asks. As long as there is no authentication only
    /// programs on this machine may, and only if the operator allows it.
    pub fn may_reveal(&self, asked: bool, peer: Option<IpAddr>) -> Result<bool> {
        let allowed = self.engine.options.allow_reveal;
        match peer.map(|peer| peer.to_canonical().is_loopback()) {
            _ if !asked => Ok(false),
            Some(true) if allowed => Ok(true),
            Some(true) => Err(Error::Hidden(
                "secrets are not shown; [config] allow_reveal = true shows them to programs on this machine".into(),
            )),
            _ => Err(Error::Hidden(
                "secrets are shown to programs on the platform's own machine only: ask there, over loopback and \
                 through no proxy, with [config] allow_reveal = true"
                    .into(),
            )),
        }
    }

    /// Looks now and after each change to the topic; `None` when `wait` is over or the service stops.
    pub(crate) async fn wait_for<T>(
        &self,
        kind: Kind,
        name: &str,
        is_prefix: bool,
        wait: Duration,
        look: impl Fn() -> Option<T>,
    ) -> Result<Option<T>> {
        if let Some(found) = look() {
            return Ok(Some(found));
        }
        if wait.is_zero() {
            return Ok(None);
        }
        let engine = &self.engine;
        // Those who wait already get what there is; whoever comes back with that would do nothing but ask.
        if engine.closing.is_triggered() {
            return Err(Error::Stopping);
        }
        let full = Error::TooManyWaiters(engine.options.max_waiters);
        let _place = engine.waiters.try_acquire().map_err(|_| full)?;
        let mut changes = engine.topics.subscribe(kind, name, is_prefix);
        let look_on = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look() {
                    return Some(found);
                }
                if changes.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::select! {
            found = look_on => Ok(found),
            () = engine.closing.triggered() => Ok(None),
            () = tokio::time::sleep(shorten(wait.min(engine.options.max_wait), fastrand::f64())) => Ok(None),
        }
    }
}

/// Up to a sixteenth shorter, so that those who asked together do not come back together.
fn shorten(wait: Duration, draw: f64) -> Duration {
    wait.mul_f64(1.0 - draw / 16.0)
}
