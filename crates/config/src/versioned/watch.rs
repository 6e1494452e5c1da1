//! Following keys: what has changed since a revision, as soon as there is something.
//!
//! A watch keeps no queue. It remembers the revision up to which it has told, and looks at what is current: a slow
//! reader misses versions in between, but never the last one. Where what was deleted cannot be told any more, it says
//! so and tells everything.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::gray::Instance;
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
    scope: String,
    after: u64,
    instance: Option<Instance>,
    reveal: bool,
}

impl Watch {
    pub(crate) fn new(
        handle: Handle,
        scope: String,
        after: u64,
        instance: Option<Instance>,
        reveal: bool,
    ) -> Self {
        Self { handle, scope, after, instance, reveal }
    }

    /// What has changed since the last one, as soon as there is something; with no items when `wait` is over or the
    /// service stops.
    pub async fn next(&mut self, wait: Duration) -> Result<Update> {
        let look = || self.look();
        let found = self.handle.wait_for(Kind::Item, &self.scope, true, wait, look).await?;
        let update = found.transpose()?.unwrap_or_else(|| self.nothing());
        self.after = update.revision;
        Ok(update)
    }

    /// Whether the service stops, so that nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.handle.engine().closing.is_triggered()
    }

    fn nothing(&self) -> Update {
        Update { revision: self.after, resync: false, items: Vec::new() }
    }

    fn look(&self) -> Option<Result<Update>> {
        let engine = self.handle.engine();
        let snapshot = engine.snapshot();
        // A revision that is not reached yet is that of another store: one that was put back, for instance.
        let resync = self.after == 0 || self.after > snapshot.revision;
        let view = Look { instance: self.instance.as_ref(), reveal: self.reveal, values: true };
        let changed: Vec<_> = snapshot
            .items_under(&self.scope)
            .filter(|item| if resync { item.content.is_some() } else { item.revision > self.after })
            .map(Arc::clone)
            .collect();
        if changed.is_empty() && !resync {
            return None;
        }
        let items = changed.iter().map(|item| ItemView::new(item, &view, &engine.options.keys)).collect();
        Some(Result::map(items, |items| Update { revision: snapshot.revision, resync, items }))
    }
}
