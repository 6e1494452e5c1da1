//! Following keys: what has changed since a revision, as soon as there is something.
//!
//! A watch keeps no queue. It remembers the revision up to which it has told, and looks at what is current: a slow
//! reader misses versions in between, but never the last one. Where what was deleted cannot be told any more, it says
//! so and tells everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::gray::Instance;
use super::item::Item;
use super::told::{self, Form, Told};
use super::view::{ItemView, Look};
use crate::cells::Kind;
use crate::error::Result;
use crate::handle::Handle;

/// What has changed.
#[derive(Debug, Clone, Serialize)]
pub struct Update {
    /// The next watch goes on from here.
    pub revision: u64,
    /// Everything is told anew: what is not among the items does not exist.
    pub resync: bool,
    /// What has changed, deleted keys included (without content type and value), in the order of their paths.
    pub items: Vec<ItemView>,
}

/// Follows all keys that begin so.
pub struct Watch {
    handle: Handle,
    scope: Arc<str>,
    /// Up to here all was told, or there was nothing to tell.
    after: AtomicU64,
    instance: Option<Instance>,
    reveal: bool,
}

/// What there is to tell, before it is made into an answer.
pub(super) struct Found {
    /// As of which revision.
    pub(super) revision: u64,
    pub(super) resync: bool,
    pub(super) items: Vec<Arc<Item>>,
    /// Names and revisions of keys that were removed with their history.
    pub(super) purged: Vec<(Arc<str>, u64)>,
    /// The last change below the scope, of whatever kind.
    pub(super) last: u64,
    /// Deletions up to this revision may be forgotten.
    pub(super) floor: u64,
}

impl Watch {
    pub(crate) fn new(
        handle: Handle,
        scope: String,
        after: u64,
        instance: Option<Instance>,
        reveal: bool,
    ) -> Self {
        Self { handle, scope: scope.into(), after: AtomicU64::new(after), instance, reveal }
    }

    /// What has changed since the last one, as soon as there is something; with no items when `wait` is over or the
    /// service stops.
    pub async fn next(&mut self, wait: Duration) -> Result<Update> {
        let Some(found) = self.found(wait).await? else {
            return Ok(self.nothing());
        };
        let look = Look { instance: self.instance.as_ref(), reveal: self.reveal, values: true };
        let update = found.update(&look, &self.handle.options().keys)?;
        *self.after.get_mut() = update.revision;
        Ok(update)
    }

    /// The same as an answer that is made once for all who are told the same.
    pub async fn next_told(&mut self, wait: Duration, form: Form) -> Result<Told> {
        let Some(found) = self.found(wait).await? else {
            return Ok(Told { is_empty: true, body: form.write(&self.nothing()) });
        };
        let (engine, instance) = (self.handle.engine(), self.instance.as_ref());
        let body = told::make(engine, &self.scope, &found, instance, self.reveal, form)?;
        *self.after.get_mut() = found.revision;
        Ok(Told { is_empty: false, body })
    }

    /// Whether the service stops, so that nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.handle.engine().closing.is_triggered()
    }

    fn nothing(&self) -> Update {
        Update { revision: self.after.load(Ordering::Relaxed), resync: false, items: Vec::new() }
    }

    async fn found(&self, wait: Duration) -> Result<Option<Found>> {
        self.handle.wait_for(Kind::Item, &self.scope, true, wait, || self.look()).await
    }

    fn look(&self) -> Option<Found> {
        let snapshot = self.handle.engine().snapshot();
        // A revision that is not reached yet is that of another store: one that was put back, for instance. And what
        // was removed up to the floor cannot be told any more.
        let after = self.after.load(Ordering::Relaxed);
        let resync = after == 0 || after > snapshot.revision || after < snapshot.floor;
        let items: Vec<_> = snapshot
            .items_under(&self.scope)
            .filter(|item| if resync { item.content.is_some() } else { item.revision > after })
            .map(Arc::clone)
            .collect();
        let purged: Vec<_> = snapshot
            .purged_under(&self.scope)
            .filter(|(_, at)| !resync && *at > after)
            .map(|(name, at)| (name.clone(), at))
            .collect();
        if items.is_empty() && purged.is_empty() && !resync {
            // Whoever waits for long stays near to what is current, so that nothing is forgotten before it is told.
            self.after.store(snapshot.revision, Ordering::Relaxed);
            return None;
        }
        let changes = snapshot.items_under(&self.scope).map(|item| item.revision);
        let last = changes.chain(snapshot.purged_under(&self.scope).map(|(_, at)| at)).max();
        let (last, floor) = (last.unwrap_or_default(), snapshot.floor);
        Some(Found { revision: snapshot.revision, resync, items, purged, last, floor })
    }
}

impl Found {
    /// As it is told.
    pub(super) fn update(&self, look: &Look<'_>, keys: &super::seal::Keys) -> Result<Update> {
        let there = self.items.iter().map(|item| ItemView::new(item, look, keys));
        let gone = self.purged.iter().map(|(name, at)| Ok(ItemView::purged(name, *at)));
        let mut items = there.chain(gone).collect::<Result<Vec<_>>>()?;
        if !self.purged.is_empty() {
            items.sort_by(|a, b| a.key.cmp(&b.key));
        }
        Ok(Update { revision: self.revision, resync: self.resync, items })
    }
}
