//! Ordered writes: the revision of the store's feed is the revision of the configuration.

use trellis_storage::{BoxFuture, Error, Store, Tx};

/// Runs the closure in a transaction whose place in the order is its revision.
pub(crate) async fn write<T, E, F>(store: &Store, work: F) -> Result<T, E>
where
    F: for<'t> FnOnce(&'t mut Tx, u64) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    store
        .write(move |tx| {
            Box::pin(async move {
                tx.lock("config").await?;
                let last: Option<u64> = tx
                    .fetch_one("SELECT max(revision) FROM config_cells", trellis_storage::params![])
                    .await?;
                work(tx, last.unwrap_or_default() + 1).await
            })
        })
        .await
}
