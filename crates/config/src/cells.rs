//! What is on disk: one table of cells, each with the revision that wrote it last.
//!
//! Everything that is current (keys, sessions, configuration, schemas) is a cell, so that one statement finds, in one
//! look at the database, all that has changed since a revision: no node ever sees half of a change.

use serde::Serialize;
use serde::de::DeserializeOwned;
use trellis_storage::{Error, FromRow, Migration, Row, Store, Tx, params};

/// The owner of the tables, and the topic in the feed.
pub(crate) const OWNER: &str = "config";

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "cells, versions, audit",
        sql: "CREATE TABLE config_cells (
            kind BIGINT NOT NULL,
            name {{blob}} NOT NULL,
            revision BIGINT NOT NULL,
            live BOOLEAN NOT NULL,
            owner TEXT,
            meta TEXT NOT NULL,
            value {{blob}} NOT NULL,
            PRIMARY KEY (kind, name)
          );
          CREATE INDEX config_cells_revision ON config_cells (revision);
          CREATE INDEX config_cells_owner ON config_cells (owner);
          CREATE TABLE config_versions (
            name TEXT NOT NULL,
            version BIGINT NOT NULL,
            revision BIGINT NOT NULL,
            meta TEXT NOT NULL,
            value {{blob}} NOT NULL,
            PRIMARY KEY (name, version)
          );
          CREATE TABLE config_audit (
            id {{auto_id}},
            revision BIGINT NOT NULL,
            name TEXT NOT NULL,
            meta TEXT NOT NULL
          );
          CREATE INDEX config_audit_name ON config_audit (name, id);",
    },
    // Signs of life of nodes, before the store knew its members.
    Migration { version: 2, name: "no nodes", sql: "DELETE FROM config_cells WHERE kind = 6" },
];

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A key of the key-value space.
    Kv = 1,
    /// A session.
    Session = 2,
    /// A key that cannot be locked for a while.
    Delay = 3,
    /// A configuration key.
    Item = 4,
    /// A JSON Schema.
    Schema = 5,
    /// Up to which revision deletions are forgotten.
    Floor = 7,
    /// A configuration key that was removed with its history.
    Purged = 8,
}

/// One row. A deleted thing stays as a cell that is not live, so that others learn of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    /// Bytes, which both databases order in the same way.
    pub(crate) name: Vec<u8>,
    pub(crate) revision: u64,
    pub(crate) live: bool,
    /// The session that holds the key.
    pub(crate) owner: Option<String>,
    /// JSON.
    pub(crate) meta: String,
    pub(crate) value: Vec<u8>,
}

impl Kind {
    fn from_number(number: i64) -> Option<Self> {
        let all = [Self::Kv, Self::Session, Self::Delay, Self::Item, Self::Schema, Self::Floor, Self::Purged];
        all.into_iter().find(|kind| kind.number() == number)
    }

    pub(crate) fn number(self) -> i64 {
        self as i64
    }
}

impl Cell {
    pub(crate) fn new(kind: Kind, name: &str, revision: u64, live: bool, meta: &impl Serialize) -> Self {
        // None of these types can fail to be written as JSON.
        let meta = serde_json::to_string(meta).unwrap_or_default();
        Self { kind, name: name.as_bytes().to_vec(), revision, live, owner: None, meta, value: Vec::new() }
    }

    pub(crate) fn with(mut self, value: Vec<u8>, owner: Option<String>) -> Self {
        self.value = value;
        self.owner = owner;
        self
    }

    pub(crate) fn meta<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_str(&self.meta).map_err(|error| error.to_string())
    }

    pub(crate) fn name(&self) -> Result<&str, String> {
        std::str::from_utf8(&self.name).map_err(|error| error.to_string())
    }
}

impl FromRow for Cell {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let number: i64 = row.at(0)?;
        let kind = Kind::from_number(number).ok_or_else(|| {
            let text = "was it written by a newer version? Run that one";
            Error::Decode(format!("config_cells has a row of kind {number}; {text}"))
        })?;
        Ok(Self {
            kind,
            name: row.at(1)?,
            revision: row.at(2)?,
            live: row.at(3)?,
            owner: row.at(4)?,
            meta: row.at(5)?,
            value: row.at(6)?,
        })
    }
}

/// The first text that is after all those that begin with `prefix`; `None`: there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// Everything that has changed since.
pub(crate) async fn since(store: &Store, revision: u64) -> Result<Vec<Cell>, Error> {
    let sql = "SELECT kind, name, revision, live, owner, meta, value FROM config_cells WHERE revision > $1
               ORDER BY revision";
    store.fetch_all(sql, params![number(revision)]).await
}

pub(crate) async fn one(tx: &mut Tx, kind: Kind, name: &str) -> Result<Option<Cell>, Error> {
    let sql = "SELECT kind, name, revision, live, owner, meta, value FROM config_cells
               WHERE kind = $1 AND name = $2";
    tx.fetch_optional(sql, params![kind.number(), name.as_bytes()]).await
}

pub(crate) async fn under(tx: &mut Tx, kind: Kind, prefix: &str) -> Result<Vec<Cell>, Error> {
    if let Some(end) = after_prefix(prefix.as_bytes()) {
        let sql = "SELECT kind, name, revision, live, owner, meta, value FROM config_cells
                   WHERE kind = $1 AND name >= $2 AND name < $3";
        return tx.fetch_all(sql, params![kind.number(), prefix.as_bytes(), end]).await;
    }
    let sql = "SELECT kind, name, revision, live, owner, meta, value FROM config_cells
               WHERE kind = $1 AND name >= $2";
    tx.fetch_all(sql, params![kind.number(), prefix.as_bytes()]).await
}

pub(crate) async fn held_by(tx: &mut Tx, session: &str) -> Result<Vec<Cell>, Error> {
    let sql = "SELECT kind, name, revision, live, owner, meta, value FROM config_cells WHERE owner = $1";
    tx.fetch_all(sql, params![session]).await
}

pub(crate) async fn put(tx: &mut Tx, cell: Cell) -> Result<(), Error> {
    let sql = "INSERT INTO config_cells (kind, name, revision, live, owner, meta, value)
               VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision, live = excluded.live,
                 owner = excluded.owner, meta = excluded.meta, value = excluded.value";
    let Cell { kind, name, revision, live, owner, meta, value } = cell;
    let row = params![kind.number(), name, number(revision), live, owner, meta, value];
    tx.execute(sql, row).await.map(drop)
}

/// Removes a row, so that nothing tells that it was there.
pub(crate) async fn remove(tx: &mut Tx, kind: Kind, name: &str) -> Result<u64, Error> {
    let sql = "DELETE FROM config_cells WHERE kind = $1 AND name = $2";
    tx.execute(sql, params![kind.number(), name.as_bytes()]).await
}

/// Forgets deletions up to a revision.
pub(crate) async fn forget(tx: &mut Tx, up_to: u64) -> Result<u64, Error> {
    let sql = "DELETE FROM config_cells WHERE NOT live AND revision <= $1 AND kind IN (1, 2, 3, 8)";
    tx.execute(sql, params![number(up_to)]).await
}

/// Revisions are counted up from 1 and never reach the end of the type.
pub(crate) fn number(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_found() {
        assert_eq!(after_prefix(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(after_prefix(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff\xff"), None);
        assert_eq!(after_prefix(b""), None);
    }
}
