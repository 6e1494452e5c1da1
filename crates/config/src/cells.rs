//! What is on disk: one table of cells, each with the revision that wrote it last.
//!
//! Everything that is current (keys, sessions, configuration, schemas) is a cell, so that one statement finds, in one
//! look at the database, all that has changed since a revision: no node ever sees half of a change.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use trellis_storage::{Dialect, Error, FromRow, Migration, Params, Row, Store, Tx, params};

use crate::journal::{self, Heap, Statement, Step, json, text};

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
    Migration {
        version: 3,
        name: "journal",
        sql: "CREATE TABLE config_journal (
            revision BIGINT NOT NULL PRIMARY KEY,
            body TEXT NOT NULL
          );
          DROP INDEX config_cells_owner",
    },
    // One tree for the versions instead of a table and an index; and the audit is short enough to be looked through.
    Migration {
        version: 4,
        name: "fewer trees",
        sql: "CREATE TABLE config_past (
            name TEXT NOT NULL,
            version BIGINT NOT NULL,
            revision BIGINT NOT NULL,
            meta TEXT NOT NULL,
            value {{blob}} NOT NULL,
            PRIMARY KEY (name, version)
          ){{by_key}};
          INSERT INTO config_past SELECT name, version, revision, meta, value FROM config_versions;
          DROP TABLE config_versions;
          ALTER TABLE config_past RENAME TO config_versions;
          DROP INDEX config_audit_name",
    },
];

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "i64", try_from = "i64")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    /// Bytes, which both databases order in the same way.
    #[serde(with = "text")]
    pub(crate) name: Vec<u8>,
    pub(crate) revision: u64,
    pub(crate) live: bool,
    /// The session that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// JSON.
    pub(crate) meta: String,
    #[serde(with = "text")]
    pub(crate) value: Vec<u8>,
}

/// What has changed: a cell in its table, or the steps of a write that is not folded yet.
pub(crate) enum Found {
    Cell(Cell),
    Journal(Vec<Step>),
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

impl From<Kind> for i64 {
    fn from(kind: Kind) -> Self {
        kind.number()
    }
}

impl TryFrom<i64> for Kind {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        Self::from_number(number).ok_or_else(|| format!("there is no kind {number}"))
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

impl FromRow for Found {
    fn from_row(row: &Row) -> Result<Self, Error> {
        if row.at::<i64>(0)? == JOURNAL {
            return journal::steps(&row.at::<String>(5)?).map(Self::Journal);
        }
        Cell::from_row(row).map(Self::Cell)
    }
}

/// Marks rows of the journal among those of the cells.
const JOURNAL: i64 = 0;

/// Cells and journal in one look, so that nothing is missed while one is folded into the other. All that is in the
/// journal is newer than all that is not.
const SINCE: &str =
    "SELECT kind, name, revision, live, owner, meta, value FROM config_cells WHERE revision > $1
    UNION ALL
    SELECT 0, $2, revision, TRUE, NULL, body, $2 FROM config_journal WHERE revision > $1
    ORDER BY 3";

/// Everything that has changed since, in its order.
pub(crate) async fn since(store: &Store, revision: u64) -> Result<Vec<Found>, Error> {
    store.fetch_all(SINCE, since_params(revision)).await
}

/// The same, within a transaction.
pub(crate) async fn since_in(tx: &mut Tx, revision: u64) -> Result<Vec<Found>, Error> {
    tx.fetch_all(SINCE, since_params(revision)).await
}

fn since_params(revision: u64) -> Params {
    params![number(revision), Vec::<u8>::new()]
}

const PUT_SQLITE: &str = "INSERT INTO config_cells (kind, name, revision, live, owner, meta, value)
    SELECT j.value ->> 0, substr($2, j.value ->> 1, j.value ->> 2), j.value ->> 3, j.value ->> 4, j.value ->> 5,
           j.value ->> 6, substr($2, j.value ->> 7, j.value ->> 8)
    FROM json_each($1) AS j WHERE TRUE
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision, live = excluded.live,
      owner = excluded.owner, meta = excluded.meta, value = excluded.value";
const PUT_POSTGRES: &str = "INSERT INTO config_cells (kind, name, revision, live, owner, meta, value)
    SELECT (c->>0)::bigint, substring($2::bytea from (c->>1)::int for (c->>2)::int), (c->>3)::bigint,
           (c->>4)::boolean, c->>5, c->>6, substring($2::bytea from (c->>7)::int for (c->>8)::int)
    FROM json_array_elements($1::json) AS c
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision, live = excluded.live,
      owner = excluded.owner, meta = excluded.meta, value = excluded.value";

/// Writes cells; none of them twice.
pub(crate) fn put_all<'c>(
    dialect: Dialect,
    cells: impl Iterator<Item = &'c Cell>,
) -> Result<Statement, Error> {
    let mut heap = Heap::new();
    let rows: Vec<_> = cells
        .map(|cell| {
            let (name, value) = (heap.add(&cell.name), heap.add(&cell.value));
            let Cell { kind, revision, live, owner, meta, .. } = cell;
            (kind, name.0, name.1, revision, live, owner, meta, value.0, value.1)
        })
        .collect();
    Ok(Statement::new(dialect, PUT_SQLITE, PUT_POSTGRES, params![json(&rows)?, heap.into_bytes()]))
}

const REMOVE_SQLITE: &str = "DELETE FROM config_cells WHERE (kind, name) IN (
    SELECT j.value ->> 0, substr($2, j.value ->> 1, j.value ->> 2) FROM json_each($1) AS j)";
const REMOVE_POSTGRES: &str = "DELETE FROM config_cells WHERE (kind, name) IN (
    SELECT (c->>0)::bigint, substring($2::bytea from (c->>1)::int for (c->>2)::int)
    FROM json_array_elements($1::json) AS c)";

/// Removes rows, so that nothing tells that they were there.
pub(crate) fn remove_all(dialect: Dialect, names: &[(Kind, &[u8])]) -> Result<Statement, Error> {
    let mut heap = Heap::new();
    let rows: Vec<_> = names
        .iter()
        .map(|(kind, name)| {
            let (begin, length) = heap.add(name);
            (kind, begin, length)
        })
        .collect();
    Ok(Statement::new(dialect, REMOVE_SQLITE, REMOVE_POSTGRES, params![json(&rows)?, heap.into_bytes()]))
}

/// Forgets deletions up to a revision.
pub(crate) fn forget(up_to: u64) -> Statement {
    let sql = "DELETE FROM config_cells WHERE NOT live AND revision <= $1 AND kind IN (1, 2, 3, 8)";
    Statement { sql, params: params![number(up_to)] }
}

/// Revisions are counted up from 1 and never reach the end of the type.
pub(crate) fn number(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}
