//! The tables of the feed and of the members, and the statements on the former.

use std::time::Duration;

use crate::{Change, Dialect, Error, FromRow, Migration, Params, Row, params};

/// In whose name the tables are migrated.
pub(crate) const OWNER: &str = "storage";

/// Every revision up to the head has had one row, and rows go from the oldest on. So a gap shows: a row is missing
/// exactly if the oldest of those that are wanted is not the one that comes next.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "feed",
        sql: "CREATE TABLE trellis_feed (
            revision BIGINT NOT NULL PRIMARY KEY,
            topic TEXT NOT NULL,
            key TEXT NOT NULL,
            at_unix_ms BIGINT NOT NULL
          );
          CREATE TABLE trellis_feed_head (
            id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
            revision BIGINT NOT NULL
          );
          INSERT INTO trellis_feed_head (id, revision) VALUES (1, 0)",
    },
    Migration {
        version: 2,
        name: "members",
        sql: "CREATE TABLE trellis_members (
                node_id TEXT NOT NULL PRIMARY KEY,
                name TEXT NOT NULL,
                address TEXT NOT NULL,
                started_unix_ms BIGINT NOT NULL,
                expires_unix_ms BIGINT
              );
              CREATE TABLE trellis_members_epoch (
                id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
                epoch BIGINT NOT NULL
              );
              INSERT INTO trellis_members_epoch (id, epoch) VALUES (1, 0)",
    },
];

/// The head, and with it the right to make the next revision: whoever asks after this waits for the end of the
/// transaction.
pub(crate) fn take_head(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => HEAD,
        Dialect::Postgres => "SELECT revision FROM trellis_feed_head WHERE id = 1 FOR UPDATE",
    }
}

/// The head.
pub(crate) const HEAD: &str = "SELECT revision FROM trellis_feed_head WHERE id = 1";

/// Writes announcements: `$1` is a JSON list of `[revision, topic, key]`.
pub(crate) const ANNOUNCE_SQLITE: &str = "INSERT INTO trellis_feed (revision, topic, key, at_unix_ms)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
           CAST(unixepoch('subsec') * 1000 AS INTEGER)
    FROM json_each($1)";

/// Writes the head.
pub(crate) const HEAD_SQLITE: &str = "UPDATE trellis_feed_head SET revision = $1 WHERE id = 1";

/// Both at once, `$2` being the head; the others are told with the commit.
pub(crate) const ANNOUNCE_POSTGRES: &str = "WITH rows AS (
      INSERT INTO trellis_feed (revision, topic, key, at_unix_ms)
      SELECT (c->>0)::bigint, c->>1, c->>2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
      FROM json_array_elements($1::json) AS c
    ), head AS (
      UPDATE trellis_feed_head SET revision = $2 WHERE id = 1
    )
    SELECT pg_notify('trellis_feed', ($2)::text)";

/// Where [`ANNOUNCE_POSTGRES`] tells it.
pub(crate) const CHANNEL: &str = "trellis_feed";

/// The parameter of both.
pub(crate) fn list(changes: &[Change]) -> String {
    let lines: Vec<_> =
        changes.iter().map(|change| (change.revision, &*change.topic, &*change.key)).collect();
    serde_json::json!(lines).to_string()
}

/// Removes what has a revision of `$1` or less, or is older than `$2` milliseconds; always from the oldest on.
pub(crate) fn trim(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "DELETE FROM trellis_feed WHERE revision <= MAX($1, COALESCE((
               SELECT revision - 1 FROM trellis_feed
               WHERE at_unix_ms >= CAST(unixepoch('subsec') * 1000 AS INTEGER) - $2
               ORDER BY revision LIMIT 1), 0))"
        }
        Dialect::Postgres => {
            "DELETE FROM trellis_feed WHERE revision <= GREATEST($1, COALESCE((
               SELECT revision - 1 FROM trellis_feed
               WHERE at_unix_ms >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $2
               ORDER BY revision LIMIT 1), 0))"
        }
    }
}

/// The parameters of [`trim`].
pub(crate) fn trim_params(below: u64, age: Duration) -> Params {
    params![int(below), i64::try_from(age.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)]
}

/// The head and the changes after `$1`, at most `$2`, as of one moment.
pub(crate) const AFTER: &str = "SELECT head.revision AS head, feed.revision AS revision, feed.topic, feed.key
    FROM trellis_feed_head head LEFT JOIN trellis_feed feed ON feed.revision > $1
    WHERE head.id = 1 ORDER BY feed.revision LIMIT $2";

/// What [`AFTER`] answers.
pub(crate) struct Page {
    pub(crate) head: u64,
    pub(crate) changes: Vec<Change>,
}

struct Line(u64, Option<Change>);

impl FromRow for Line {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let change = match row.at::<Option<u64>>(1)? {
            None => None,
            Some(revision) => Some(Change {
                topic: row.at::<String>(2)?.into(),
                key: row.at::<String>(3)?.into(),
                revision,
            }),
        };
        Ok(Self(row.at(0)?, change))
    }
}

impl Page {
    pub(crate) const SQL: &'static str = AFTER;

    pub(crate) fn params(from: u64, limit: usize) -> Params {
        params![int(from), int(limit as u64)]
    }

    pub(crate) fn read(rows: &[Row]) -> Result<Self, Error> {
        let lines = rows.iter().map(Line::from_row).collect::<Result<Vec<_>, _>>()?;
        let head = lines.first().map(|line| line.0).ok_or_else(Self::no_head)?;
        Ok(Self { head, changes: lines.into_iter().filter_map(|line| line.1).collect() })
    }

    /// Whether it has everything after `from`, or at least the beginning of that.
    pub(crate) fn follows(&self, from: u64) -> bool {
        match self.changes.first() {
            Some(first) => first.revision == from + 1,
            None => self.head == from,
        }
    }

    fn no_head() -> Error {
        Error::NoRow("the table trellis_feed_head has lost its row".to_owned())
    }
}

/// Revisions stay far below what a database's number can hold.
pub(crate) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
