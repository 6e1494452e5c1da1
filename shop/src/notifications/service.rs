//! The rules about messages: what is accepted is kept, once for each key.

use std::sync::Arc;

use tokio::sync::Notify;
use trellis_sdk::core::error::Result;
use trellis_sdk::core::{Error, codes};
use trellis_sdk::runtime::WallClock;
use uuid::Uuid;

use super::model::{Message, MessageInput};
use super::repository::{Queued, Repository};
use crate::paging::{Slice, Window};

/// The module's service layer.
#[derive(Clone)]
pub(super) struct Notifications {
    repository: Repository,
    bell: Arc<Notify>,
    clock: WallClock,
}

impl Notifications {
    /// `bell` tells the courier of a new message.
    pub(super) fn new(repository: Repository, bell: Arc<Notify>, clock: WallClock) -> Self {
        Self { repository, bell, clock }
    }

    pub(super) async fn list(&self, window: &Window) -> Result<Slice<Message>> {
        let rows = self.repository.list(window).await?;
        Ok(window.slice(rows, |message| message.id.to_string()))
    }

    pub(super) async fn get(&self, id: Uuid) -> Result<Message> {
        let message = self.repository.get(id).await?;
        message.ok_or_else(|| Error::new(codes::NOT_FOUND, "there is no notification with this id"))
    }

    /// Keeps a message for delivery. The same key again is the same message.
    pub(super) async fn queue(&self, key: Option<String>, input: MessageInput) -> Result<Queued> {
        let input = input.checked()?;
        let queued =
            self.repository.queue(Uuid::now_v7(), key, input.clone(), self.clock.unix_millis()).await?;
        let Message { to, subject, text, .. } = &queued.message;
        if (to, subject, text) != (&input.to, &input.subject, &input.text) {
            return Err(Error::new(
                codes::IDEMPOTENCY_MISMATCH,
                "this Idempotency-Key was used for another message",
            ));
        }
        if queued.is_new {
            self.bell.notify_one();
        }
        Ok(queued)
    }
}
