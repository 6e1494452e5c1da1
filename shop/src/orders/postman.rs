//! Hands the outbox's mail to the notifications, at least once each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use trellis_sdk::core::error::{Result, chain};
use trellis_sdk::runtime::{Shutdown, WallClock};

use super::repository::{Outbox, Posted};
use super::saga::{Fault, Remotes};
use crate::backoff::Backoff;
use crate::time;

const BATCH: i64 = 64;
const PARALLEL: usize = 8;
/// How often to look for mail whose time has come; new mail is announced.
const INTERVAL: Duration = Duration::from_secs(1);
/// A mail is handed on again if nobody has said within this time what came of it.
const LEASE: Duration = Duration::from_secs(30);
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), most: Duration::from_secs(30) };

/// The task that hands mail on.
pub(super) struct Postman<R> {
    pub(super) outbox: Outbox,
    pub(super) remotes: Arc<R>,
    pub(super) bell: Arc<Notify>,
    pub(super) clock: WallClock,
}

impl<R: Remotes> Postman<R> {
    /// Works until `shutdown`. What is cut off then is handed on again after the next start.
    pub(super) async fn run(self, shutdown: Shutdown) -> Result<()> {
        let work = async {
            loop {
                if self.round().await < BATCH as usize {
                    let _ = tokio::time::timeout(INTERVAL, self.bell.notified()).await;
                }
            }
        };
        tokio::select! {
            () = shutdown.triggered() => Ok(()),
            () = work => Ok(()),
        }
    }

    /// Hands on what is due; how many mails that were.
    pub(super) async fn round(&self) -> usize {
        let now_ms = self.clock.unix_millis();
        let mails = match self.outbox.claim(BATCH, now_ms, time::after(now_ms, LEASE)).await {
            Ok(mails) => mails,
            Err(error) => {
                tracing::warn!(error = chain(&error), "mail waits: the outbox cannot be read");
                return 0;
            }
        };
        let count = mails.len();
        stream::iter(mails).for_each_concurrent(PARALLEL, |posted| self.hand_on(posted)).await;
        count
    }

    async fn hand_on(&self, posted: Posted) {
        let written = match self.remotes.notify(&posted.key, &posted.mail).await {
            Ok(()) => self.outbox.remove(posted.id).await,
            Err(Fault::Refused(refusal)) => {
                tracing::error!(mail = posted.key, error = refusal.detail, "the notifications refuse a mail");
                self.outbox.refuse(posted.id).await
            }
            Err(fault) => {
                let tries = posted.tries.saturating_add(1);
                tracing::warn!(
                    mail = posted.key,
                    tries,
                    error = fault.describe(),
                    "mail waits: the notifications do not take it"
                );
                let due = BACKOFF.wait(tries, fastrand::f64());
                self.outbox.postpone(posted.id, tries, time::after(self.clock.unix_millis(), due)).await
            }
        };
        if let Err(error) = written {
            tracing::warn!(
                mail = posted.key,
                error = chain(&error),
                "a mail will be handed on again: the outbox cannot be written"
            );
        }
    }
}
