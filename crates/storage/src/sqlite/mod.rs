//! SQLite: readers on a write-ahead log, and one writer that groups writes into commits.

mod connect;
mod readers;
mod values;

use std::path::Path;
use std::sync::Arc;

use sqlx::Connection as _;

use crate::feed::Hub;
use crate::work::Work;
use crate::writer::{Source, Writer};
use crate::{Error, Options, Tx};

pub(crate) use connect::writer;
pub(crate) use readers::Reader;
pub(crate) use values::{query, rows};

use readers::Readers;

/// An open database file.
pub(crate) struct Sqlite {
    readers: Readers,
    writer: Writer,
}

impl Sqlite {
    pub(crate) async fn open(path: &Path, options: &Options, hub: Arc<Hub>) -> Result<Self, Error> {
        let path = std::path::absolute(path)
            .map_err(|error| Error::Unavailable(format!("{}: {error}", path.display())))?;
        let tx = Tx::sqlite(writer(&path, options.busy_timeout).await?, hub.clone());
        hub.connected(true);
        let writer = Writer::start(Source::Sqlite(path.clone()), Some(tx), hub, options);
        Ok(Self { readers: Readers::new(path, options), writer })
    }

    pub(crate) async fn reader(&self) -> Result<Reader<'_>, Error> {
        self.readers.acquire().await
    }

    pub(crate) fn submit(&self, work: Box<dyn Work>) -> Result<(), Error> {
        self.writer.submit(work)
    }

    pub(crate) fn max_waiting_writes(&self) -> usize {
        self.writer.max_waiting()
    }

    pub(crate) fn commits(&self) -> u64 {
        self.writer.commits()
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let mut reader = self.reader().await?;
        // Reads the header, so that a file that was taken away or overwritten shows.
        reader.connection().first("PRAGMA schema_version", &[]).await.map(|_| ())
    }

    /// Ends after every accepted write was answered.
    pub(crate) async fn close(&self) {
        self.writer.close().await;
        for connection in self.readers.close().await {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a reader did not close in order");
            }
        }
    }
}
