//! What was: versions of each key, and who changed what. Both on disk only.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use trellis_storage::{Dialect, Error as StoreError, params};

use super::address::path_of;
use super::change::Author;
use super::gray::Rule;
use super::item::{Content, ContentMeta};
use crate::cells::number;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::{Heap, Statement, json, text};

/// What is written down of one change: one row for the history, if a key was changed, and one for the audit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    /// 0: not about a version of a key.
    pub(crate) version: u64,
    pub(crate) revision: u64,
    pub(crate) entry: Entry,
    #[serde(with = "text")]
    pub(crate) bytes: Bytes,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) action: String,
    #[serde(flatten)]
    pub(crate) author: Author,
    pub(crate) at: i64,
    #[serde(default)]
    pub(crate) secret: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<ContentMeta>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<Rule>,
}

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionView {
    /// Its number.
    pub version: u64,
    /// The revision that made it.
    pub revision: u64,
    /// `set`, `delete`, `rollback`, `candidate`, `promote` or `abort`.
    pub action: String,
    /// Who made it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// Media type of its value; absent where it brought none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<&'static str>,
    /// Whether it is a secret.
    pub secret: bool,
    /// Its value; `***` for a secret unless it is to be revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Who gets it, for a candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

/// Who changed what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditView {
    /// The revision of the change.
    pub revision: u64,
    /// The key, or where the schema is.
    pub key: String,
    /// What was done: as in the history, `purge`, `set-schema` or `remove-schema`.
    pub action: String,
    /// The version that it made; absent for schemas, and if the key was purged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Who did it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct AuditMeta {
    action: String,
    #[serde(flatten)]
    author: Author,
    at: i64,
    version: u64,
}

/// One version as it is on disk.
pub(crate) struct Stored {
    pub(crate) version: u64,
    pub(crate) revision: u64,
    pub(crate) entry: Entry,
    pub(crate) content: Option<Content>,
}

const VERSIONS_SQLITE: &str = "INSERT INTO config_versions (name, version, revision, meta, value)
    SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3, substr($2, j.value ->> 4, j.value ->> 5)
    FROM json_each($1) AS j WHERE TRUE ON CONFLICT (name, version) DO NOTHING";
const VERSIONS_POSTGRES: &str = "INSERT INTO config_versions (name, version, revision, meta, value)
    SELECT c->>0, (c->>1)::bigint, (c->>2)::bigint, c->>3,
           substring($2::bytea from (c->>4)::int for (c->>5)::int)
    FROM json_array_elements($1::json) AS c ON CONFLICT (name, version) DO NOTHING";

/// Adds versions. Those that are there stay as they are: a version never changes.
pub(crate) fn add_versions(dialect: Dialect, records: &[&Record]) -> Result<Statement, StoreError> {
    let mut heap = Heap::new();
    let rows = records.iter().map(|record| {
        let (begin, length) = heap.add(&record.bytes);
        Ok((&record.name, record.version, record.revision, json(&record.entry)?, begin, length))
    });
    let rows = json(&rows.collect::<std::result::Result<Vec<_>, StoreError>>()?)?;
    Ok(Statement::new(dialect, VERSIONS_SQLITE, VERSIONS_POSTGRES, params![rows, heap.into_bytes()]))
}

const AUDIT_SQLITE: &str = "INSERT INTO config_audit (revision, name, meta)
    SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2 FROM json_each($1) AS j ORDER BY j.key";
const AUDIT_POSTGRES: &str = "INSERT INTO config_audit (revision, name, meta)
    SELECT (c->>0)::bigint, c->>1, c->>2
    FROM json_array_elements($1::json) WITH ORDINALITY AS list (c, place) ORDER BY place";

/// Adds to the audit.
pub(crate) fn add_audit(dialect: Dialect, records: &[Record]) -> Result<Statement, StoreError> {
    let rows = records.iter().map(|record| {
        let Entry { action, author, at, .. } = record.entry.clone();
        let meta = AuditMeta { action, author, at, version: record.version };
        Ok((record.revision, &record.name, json(&meta)?))
    });
    let rows = json(&rows.collect::<std::result::Result<Vec<_>, StoreError>>()?)?;
    Ok(Statement::new(dialect, AUDIT_SQLITE, AUDIT_POSTGRES, params![rows]))
}

const TRIM_SQLITE: &str = "DELETE FROM config_versions WHERE (name, version) IN (
    SELECT v.name, v.version FROM json_each($1) AS j
    JOIN config_versions AS v ON v.name = j.value ->> 0 AND v.version <= j.value ->> 1)";
const TRIM_POSTGRES: &str = "DELETE FROM config_versions AS v USING json_array_elements($1::json) AS c
    WHERE v.name = c->>0 AND v.version <= (c->>1)::bigint";

/// Forgets the versions of each name of a JSON list of `[name, version]`, up to that one.
pub(crate) fn trim(dialect: Dialect, list: String) -> Statement {
    Statement::new(dialect, TRIM_SQLITE, TRIM_POSTGRES, params![list])
}

const PURGE_SQLITE: &str =
    "DELETE FROM config_versions WHERE name IN (SELECT j.value ->> 0 FROM json_each($1) AS j)";
const PURGE_POSTGRES: &str = "DELETE FROM config_versions WHERE name IN (
    SELECT c->>0 FROM json_array_elements($1::json) AS c)";

/// Forgets all versions of the names of a JSON list of `[name]`.
pub(crate) fn purge(dialect: Dialect, list: String) -> Statement {
    Statement::new(dialect, PURGE_SQLITE, PURGE_POSTGRES, params![list])
}

type VersionRow = (u64, u64, String, Vec<u8>);

fn stored((version, revision, meta, value): VersionRow) -> Result<Stored> {
    let unreadable = |cause: String| Error::from(StoreError::Decode(format!("config_versions: {cause}")));
    let entry: Entry = serde_json::from_str(&meta).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Bytes::from(value);
    let content = entry.content.clone().map(|meta| Content::of_meta(meta, &mut bytes)).transpose();
    Ok(Stored { version, revision, content: content.map_err(unreadable)?, entry })
}

/// The newest versions before one, newest first.
pub(crate) async fn list(engine: &Engine, name: &str, before: u64, limit: u32) -> Result<Vec<Stored>> {
    engine.settle_for_reading().await?;
    let sql = "SELECT version, revision, meta, value FROM config_versions
               WHERE name = $1 AND version < $2 AND version > $3 ORDER BY version DESC LIMIT $4";
    let params = params![name, number(before), number(too_old(engine, name)), limit];
    let rows: Vec<VersionRow> = engine.store.fetch_all(sql, params).await?;
    rows.into_iter().map(stored).collect()
}

const ONE: &str =
    "SELECT version, revision, meta, value FROM config_versions WHERE name = $1 AND version = $2";

/// One version.
pub(crate) async fn one(engine: &Engine, name: &str, version: u64) -> Result<Stored> {
    engine.settle_for_reading().await?;
    if version <= too_old(engine, name) {
        return Err(missing(name, version));
    }
    let row: Option<VersionRow> = engine.store.fetch_optional(ONE, params![name, number(version)]).await?;
    row.map_or_else(|| Err(missing(name, version)), stored)
}

/// Up to which version a key's are not shown any more: they are removed some time later.
fn too_old(engine: &Engine, name: &str) -> u64 {
    let newest = engine.snapshot().items.get(name).map_or(0, |item| item.version);
    newest.saturating_sub(u64::from(engine.options.history.max(1)))
}

fn missing(name: &str, version: u64) -> Error {
    let path = path_of(name);
    Error::NotFound(format!("{path} has no version {version}, or its history does not reach back so far"))
}

/// Who changed what below a name, newest first, before a revision. All of the audit is looked through for it, which
/// `max_audit` keeps short; an index would cost each write more.
pub(crate) async fn audit(engine: &Engine, scope: &str, before: u64, limit: u32) -> Result<Vec<AuditView>> {
    engine.settle_for_reading().await?;
    // Names are ASCII without `~`, so this is after all that begin so.
    let sql = "SELECT revision, name, meta FROM config_audit
               WHERE name >= $1 AND name < $2 AND revision < $3 ORDER BY id DESC LIMIT $4";
    let end = format!("{scope}~");
    let rows: Vec<(u64, String, String)> =
        engine.store.fetch_all(sql, params![scope, end, number(before), limit]).await?;
    rows.into_iter()
        .map(|(revision, name, meta)| {
            let meta: AuditMeta = serde_json::from_str(&meta)
                .map_err(|error| StoreError::Decode(format!("config_audit: {error}")))?;
            Ok(AuditView {
                revision,
                key: path_of(&name).to_owned(),
                action: meta.action,
                version: (meta.version > 0).then_some(meta.version),
                actor: meta.author.actor,
                reason: meta.author.reason,
                at_unix_ms: meta.at,
            })
        })
        .collect()
}
