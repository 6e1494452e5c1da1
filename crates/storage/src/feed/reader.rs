//! One reader's place in the order.

use std::time::Duration;

use tokio::sync::watch;

use super::FeedBatch;
use super::hub::{Mark, Recent};
use crate::{Error, Store};

/// The changes after a revision, in their order. Made by [`Store::feed`]. It keeps the store open.
pub struct Feed {
    store: Store,
    mark: watch::Receiver<Mark>,
    place: u64,
    rewinds: u64,
    /// The place is ahead of what this process knows, and the table has it.
    ahead: bool,
}

/// How long a feed waits before it asks a database again that does not answer.
const PATIENCE: Duration = Duration::from_millis(200);

impl Feed {
    pub(crate) fn new(store: Store, from: u64) -> Self {
        let mut mark = store.hub().subscribe();
        let rewinds = mark.borrow_and_update().rewinds;
        Self { store, mark, place: from, rewinds, ahead: false }
    }

    /// Up to where this reader is.
    pub fn revision(&self) -> u64 {
        self.place
    }

    /// Waits for the next changes. While PostgreSQL is away it simply waits. An error means that the store was closed,
    /// or that the table cannot be read for a reason that waiting does not mend. May be dropped at any time: nothing is
    /// lost.
    pub async fn next(&mut self) -> Result<FeedBatch, Error> {
        loop {
            let mark = *self.mark.borrow_and_update();
            if mark.closed {
                return Err(Error::closed());
            }
            if mark.rewinds != self.rewinds {
                self.rewinds = mark.rewinds;
                return Ok(self.resync(mark.head));
            }
            match self.store.hub().after(self.place) {
                Recent::Changes(changes) => return Ok(self.take(changes)),
                Recent::Nothing if self.place <= mark.head || self.ahead => self.changed().await?,
                recent => {
                    if recent == Recent::Behind {
                        self.store.hub().count_lagged();
                    }
                    if let Some(batch) = self.look().await? {
                        return Ok(batch);
                    }
                }
            }
        }
    }

    /// Asks the table itself.
    async fn look(&mut self) -> Result<Option<FeedBatch>, Error> {
        let limit = self.store.hub().options.max_batch.max(1);
        let page = match self.store.page(self.place, limit).await {
            Err(Error::Unavailable(_) | Error::Busy(_)) if !self.mark.borrow().closed => {
                self.pause().await;
                return Ok(None);
            }
            page => page?,
        };
        if !page.follows(self.place) {
            return Ok(Some(self.resync(page.head)));
        }
        if page.changes.is_empty() {
            self.ahead = true;
            if self.mark.borrow().head > self.place {
                // The database was set back, and that is not known here yet.
                self.pause().await;
            }
            return Ok(None);
        }
        Ok(Some(self.take(page.changes)))
    }

    fn take(&mut self, changes: Vec<super::Change>) -> FeedBatch {
        self.place = changes.last().map_or(self.place, |last| last.revision);
        self.ahead = false;
        FeedBatch::Changes { revision: self.place, changes }
    }

    fn resync(&mut self, head: u64) -> FeedBatch {
        self.store.hub().count_resync();
        self.place = head;
        self.ahead = false;
        FeedBatch::Resync { revision: head }
    }

    /// Comes back at once when the store is closed or hears something.
    async fn pause(&mut self) {
        let _ = tokio::time::timeout(PATIENCE, self.mark.changed()).await;
    }

    async fn changed(&mut self) -> Result<(), Error> {
        self.mark.changed().await.map_err(|_| Error::closed())
    }
}
