//! Takes queued messages to where they go, at least once each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use trellis_sdk::core::error::{Result, chain};
use trellis_sdk::runtime::{Shutdown, WallClock};

use super::model::{Message, Status};
use super::repository::Repository;
use super::transport::Transport;
use crate::backoff::Backoff;
use crate::time;

const BATCH: i64 = 32;
const PARALLEL: usize = 4;
/// How often to look for messages whose time has come; new ones are announced.
const INTERVAL: Duration = Duration::from_secs(1);
/// A message is delivered again if nobody has said within this time what came of it.
const LEASE: Duration = Duration::from_mins(1);
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_mins(5) };

/// The task that delivers.
pub(super) struct Courier {
    pub(super) repository: Repository,
    pub(super) transport: Transport,
    /// Tries until a message is given up.
    pub(super) max_attempts: u32,
    /// Rung when there is a new message.
    pub(super) bell: Arc<Notify>,
    pub(super) clock: WallClock,
}

impl Courier {
    /// Delivers until `shutdown`. What is cut off then is delivered again after the next start.
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

    /// Delivers what is due; how many messages that were.
    pub(super) async fn round(&self) -> usize {
        let now_ms = self.clock.unix_millis();
        let messages = match self.repository.claim(BATCH, now_ms, time::after(now_ms, LEASE)).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(error = chain(&error), "mail waits: the queue cannot be read");
                return 0;
            }
        };
        let count = messages.len();
        stream::iter(messages).for_each_concurrent(PARALLEL, |message| self.deliver(message)).await;
        count
    }

    async fn deliver(&self, message: Message) {
        let attempts = message.attempts.saturating_add(1);
        let now_ms = self.clock.unix_millis();
        let settled = match self.transport.deliver(&message).await {
            Ok(()) => self.repository.settle(message.id, Status::Sent, attempts, None, now_ms).await,
            Err(error) => {
                let is_over = error.is_final || attempts >= self.max_attempts;
                let wait = BACKOFF.wait(attempts, fastrand::f64());
                tracing::warn!(message = %message.id, attempts, is_over, error = error.reason, "a mail was not delivered");
                let status = if is_over { Status::Failed } else { Status::Queued };
                let due_ms = time::after(now_ms, wait);
                self.repository.settle(message.id, status, attempts, Some(error.reason), due_ms).await
            }
        };
        if let Err(error) = settled {
            tracing::warn!(message = %message.id, error = chain(&error), "a mail will be delivered again: the queue cannot be written");
        }
    }
}
