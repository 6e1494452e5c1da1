//! Ordered writes: the revision of the store's feed is the revision of the configuration.

use trellis_storage::{BoxFuture, Error, Store, Tx};

use crate::cells::OWNER;

/// Runs the closure in a transaction whose place in the order is its revision.
pub(crate) async fn write<T, E, F>(store: &Store, work: F) -> Result<T, E>
where
    F: for<'t> FnOnce(&'t mut Tx, u64) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    store
        .write_ordered(move |tx| {
            Box::pin(async move {
                let revision = tx.announce(OWNER, "*").await?;
                work(tx, revision).await
            })
        })
        .await
}
