//! Joining, staying and leaving.

use std::time::Duration;

use tokio::time::Instant;
use trellis_runtime::Shutdown;
use uuid::Uuid;

use super::handle::{Handle, Lease, Teller};
use super::table::{self, List};
use super::{Member, Options};
use crate::{Dialect, Error, Feed, FeedBatch, Store};

/// Keeps this process on the list of members.
pub struct Members {
    store: Store,
    node: Member,
    ttl: Duration,
    teller: Teller,
    feed: Feed,
    /// Nobody is taken off the list before, if this node was away itself.
    patience: Option<Instant>,
}

impl Members {
    /// Puts the process on the list. It stays there as long as [`run`](Self::run) runs.
    pub async fn join(store: &Store, options: Options) -> Result<(Self, Handle), Error> {
        let ttl = options.lease();
        let node = Member {
            node_id: Uuid::now_v7().to_string().into(),
            name: options.name.into(),
            address: options.address.into(),
            started_unix_ms: 0,
            expires_unix_ms: None,
        };
        let from = store.head().await?;
        let (lease, list) = join(store, &node, ttl).await?;
        let (teller, handle) = Teller::new(node.node_id.clone(), list, lease);
        let feed = store.feed(from).await?;
        let members = Self { store: store.clone(), node, ttl, teller, feed, patience: None };
        Ok((members, handle))
    }

    /// Renews the lease until told to stop; then leaves at once. While the database is away it goes on trying.
    pub async fn run(mut self, shutdown: Shutdown) {
        let alone = self.store.dialect() == Dialect::Sqlite;
        let mut next = Instant::now() + self.ttl / 3;
        loop {
            tokio::select! {
                biased;
                () = shutdown.triggered() => break,
                () = tokio::time::sleep_until(next), if !alone => next = self.renew().await,
                batch = self.feed.next() => match batch {
                    Ok(batch) if concerns(&batch) => self.refresh().await,
                    Ok(_) => {}
                    // The store was closed: nothing can be renewed or left any more.
                    Err(_) => break,
                },
            }
        }
        self.teller.lease(Lease::Over);
        let node_id = self.node.node_id.clone();
        let left =
            self.store.write_ordered(move |tx| Box::pin(async move { table::leave(tx, &node_id).await }));
        // A file answers in any case, and a timer would disturb tests with a paused clock.
        let left = async { if alone { Ok(left.await) } else { tokio::time::timeout(self.ttl, left).await } };
        match left.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "this node is not off the list of members before its lease ends");
            }
            Err(_) => tracing::warn!("the database did not answer; this node leaves when its lease ends"),
        }
    }

    /// When to renew next.
    async fn renew(&mut self) -> Instant {
        let asked = Instant::now();
        match tokio::time::timeout(self.ttl / 3, self.try_renew(asked)).await {
            Ok(Ok(())) => asked + self.ttl / 3,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease of this node is not renewed; trying again");
                Instant::now() + self.ttl / 6
            }
            // It has waited already.
            Err(_) => Instant::now(),
        }
    }

    async fn try_renew(&mut self, asked: Instant) -> Result<(), Error> {
        let (node_id, ttl_ms) = (self.node.node_id.clone(), millis(self.ttl));
        let (renewed, list) = self
            .store
            .write_lease(self.ttl / 3, move |tx| {
                Box::pin(async move { table::renew(tx, &node_id, ttl_ms).await })
            })
            .await?;
        if !renewed {
            self.teller.lease(Lease::Over);
            tracing::warn!(node = &*self.node.node_id, "this node was declared dead; it joins again");
            let (lease, list) = join(&self.store, &self.node, self.ttl).await?;
            self.teller.list(list);
            self.teller.lease(lease);
            return Ok(());
        }
        if !self.teller.holds() {
            // The database may have been away for all, and the others may come back as well.
            self.patience = Some(Instant::now() + self.ttl);
        }
        // The list first: an old one must not be taken for this process's word on what is its own.
        let overdue = list.overdue;
        self.teller.list(list);
        self.teller.lease(lease(&self.store, asked, self.ttl));
        if overdue && self.patience.is_none_or(|until| until <= Instant::now()) {
            let bury = self.store.write_ordered(|tx| Box::pin(async move { table::bury(tx).await }));
            let list = bury.await?;
            tracing::info!(epoch = list.epoch, "members whose lease has ended are off the list");
            self.teller.list(list);
        }
        Ok(())
    }

    /// Somebody came or went.
    async fn refresh(&self) {
        match table::read(&self.store).await {
            Ok(list) => {
                if !list.members.iter().any(|member| member.node_id == self.node.node_id) {
                    // The next renewal finds it out, too, and joins again.
                    self.teller.lease(Lease::Over);
                }
                self.teller.list(list);
            }
            // The next renewal reads it as well.
            Err(error) => tracing::debug!(%error, "the list of members is not read"),
        }
    }
}

async fn join(store: &Store, node: &Member, ttl: Duration) -> Result<(Lease, List), Error> {
    let asked = Instant::now();
    let node = node.clone();
    let ttl_ms = millis(ttl);
    let list =
        store.write_ordered(move |tx| Box::pin(async move { table::join(tx, &node, ttl_ms).await })).await?;
    Ok((lease(store, asked, ttl), list))
}

/// Counted from before the database was asked, and a sixth shorter than it says.
fn lease(store: &Store, asked: Instant, ttl: Duration) -> Lease {
    match store.dialect() {
        Dialect::Sqlite => Lease::Forever,
        Dialect::Postgres => Lease::Until(asked + ttl - ttl / 6),
    }
}

fn concerns(batch: &FeedBatch) -> bool {
    match batch {
        FeedBatch::Changes { changes, .. } => changes.iter().any(|change| &*change.topic == table::TOPIC),
        FeedBatch::Resync { .. } => true,
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}
