//! Opening a connection, with errors that say what to do.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use crate::Error;
use crate::statement::Connection;

/// Kept small: a store is one of many parts of a process. The page caches are in KiB, negative by SQLite's convention.
const WRITER_CACHE: &str = "-2048";
const READER_CACHE: &str = "-512";
const STATEMENT_CACHE: usize = 64;
/// The log is cut back to this size after a burst of writes.
const LOG_BYTES: &str = "8388608";
/// The log is copied into the database when it has so many pages: with about that size, so that a page which many writes
/// touch is copied once for more of them.
const LOG_PAGES: &str = "2000";
/// The writer asks for the write lock again and again in turns this long, which is fairer between two processes than
/// SQLite's own ever longer pauses.
const LOCK_TURN: &str = "PRAGMA busy_timeout = 5";

/// Opens the connection that writes, making the file if it is missing.
pub(crate) async fn writer(path: &Path, busy: Duration) -> Result<SqliteConnection, Error> {
    check_place(path)?;
    let options = options(path, busy)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("journal_size_limit", LOG_BYTES)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        // What a savepoint would take back is kept in memory; a file is made and removed for each otherwise.
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", WRITER_CACHE);
    let mut connection = patiently(&options, busy).await.map_err(|error| explain(path, &error))?;
    verify(path, &mut Connection::Sqlite(&mut connection)).await?;
    Ok(connection)
}

/// Opens a connection that reads.
pub(super) async fn reader(path: &Path, busy: Duration) -> Result<SqliteConnection, Error> {
    let options = options(path, busy).pragma("query_only", "ON").pragma("cache_size", READER_CACHE);
    options.connect().await.map_err(|error| explain(path, &error))
}

fn options(path: &Path, busy: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(busy)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(STATEMENT_CACHE)
}

/// Switching a new file to the write-ahead log takes a lock that SQLite itself does not wait for.
async fn patiently(options: &SqliteConnectOptions, limit: Duration) -> Result<SqliteConnection, sqlx::Error> {
    let start = Instant::now();
    loop {
        match options.connect().await {
            Err(error) if primary_code(&error) == Some(5) && start.elapsed() < limit => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            done => return done,
        }
    }
}

async fn verify(path: &Path, connection: &mut Connection<'_>) -> Result<(), Error> {
    let mode: String = match connection.first("PRAGMA journal_mode", &[]).await? {
        Some(row) => row.at(0)?,
        None => String::new(),
    };
    if mode != "wal" {
        return Err(Error::Unavailable(format!(
            "{} cannot use a write-ahead log (its journal mode is {mode}); put it on a local disk",
            path.display()
        )));
    }
    // A file that may only be read shows here, not at the first write.
    let probe = connection.script("BEGIN IMMEDIATE; ROLLBACK;".to_owned()).await;
    probe.map_err(|error| match error {
        Error::Statement(_) | Error::Unavailable(_) => read_only(path),
        other => other,
    })?;
    connection.script(LOCK_TURN.to_owned()).await
}

/// SQLite says no more than "unable to open database file" to all of these.
fn check_place(path: &Path) -> Result<(), Error> {
    let fault = |text: String| Err(Error::Unavailable(text));
    if path.is_dir() {
        return fault(format!("{} is a folder; give the path of a file", path.display()));
    }
    match path.parent().map(|parent| (parent, parent.metadata())) {
        Some((parent, Err(error))) => fault(format!(
            "the folder {} cannot be used: {error}; make it, or name another",
            parent.display()
        )),
        Some((parent, Ok(metadata))) if !metadata.is_dir() => {
            fault(format!("{} is not a folder; name another place for the database", parent.display()))
        }
        _ => Ok(()),
    }
}

fn explain(path: &Path, error: &sqlx::Error) -> Error {
    let path = path.display();
    match primary_code(error) {
        Some(5 | 6) => Error::Unavailable(format!(
            "{path} is locked by another process; stop the one that holds it open exclusively"
        )),
        Some(8) => read_only(Path::new(&path.to_string())),
        Some(11) => Error::Unavailable(format!("{path} is damaged ({error}); restore it from a backup")),
        Some(13) => Error::Unavailable(format!("no space is left for {path}; free some")),
        Some(14) => Error::Unavailable(format!(
            "{path} cannot be opened; check that this user may read and write the file and its folder"
        )),
        Some(26) => Error::Unavailable(format!(
            "{path} is not a SQLite database; move the file away, or name another path"
        )),
        _ => Error::Unavailable(format!("{path} cannot be opened: {error}")),
    }
}

fn read_only(path: &Path) -> Error {
    Error::Unavailable(format!(
        "{} may not be written; give this user the right to write to it",
        path.display()
    ))
}

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<u32>().ok()? & 0xff)
}
