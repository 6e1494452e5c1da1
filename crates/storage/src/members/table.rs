//! The list of members in the database.

use crate::{Dialect, Error, FromRow, Row, Store, Tx, params};

use super::Member;

/// The topic under which changes of the list are announced; the key is the node's id.
pub(super) const TOPIC: &str = "members";

/// Everybody, and the number of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    pub(super) epoch: u64,
    pub(super) members: Vec<Member>,
    /// Somebody's lease has ended, but nobody has said so.
    pub(super) overdue: bool,
}

/// Lists are read in one statement, so that number and members belong together.
struct Sql {
    renew: &'static str,
    join: &'static str,
    bury: &'static str,
    list: &'static str,
}

const LEAVE: &str = "DELETE FROM trellis_members WHERE node_id = $1";
const NEXT_EPOCH: &str = "UPDATE trellis_members_epoch SET epoch = epoch + 1 WHERE id = 1";

fn sql(dialect: Dialect) -> Sql {
    match dialect {
        // Leases never end: the one row is that of the one process. `$4` is what the lease would be.
        Dialect::Sqlite => Sql {
            renew: "UPDATE trellis_members SET expires_unix_ms = NULL WHERE node_id = $1 AND $2 > 0",
            join: "INSERT INTO trellis_members (node_id, name, address, started_unix_ms, expires_unix_ms)
                   SELECT $1, $2, $3, CAST(unixepoch('subsec') * 1000 AS INTEGER), NULL WHERE $4 > 0",
            bury: "DELETE FROM trellis_members",
            list: "SELECT e.epoch, 0 AS overdue, m.node_id, m.name, m.address, m.started_unix_ms, m.expires_unix_ms
                   FROM trellis_members_epoch e LEFT JOIN trellis_members m ON e.id = 1 ORDER BY m.node_id",
        },
        Dialect::Postgres => Sql {
            renew: "UPDATE trellis_members SET expires_unix_ms =
                      (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2 WHERE node_id = $1",
            join: "INSERT INTO trellis_members (node_id, name, address, started_unix_ms, expires_unix_ms)
                   SELECT $1, $2, $3, now_ms, now_ms + $4
                   FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) AS clock",
            bury: "DELETE FROM trellis_members WHERE expires_unix_ms <
                     (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
            list: "SELECT e.epoch,
                     COALESCE(m.expires_unix_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint, FALSE),
                     m.node_id, m.name, m.address, m.started_unix_ms, m.expires_unix_ms
                   FROM trellis_members_epoch e LEFT JOIN trellis_members m ON e.id = 1 ORDER BY m.node_id",
        },
    }
}

/// Puts the node on the list, and takes off whose lease has ended.
pub(super) async fn join(tx: &mut Tx, node: &Member, ttl_ms: i64) -> Result<List, Error> {
    let sql = sql(tx.dialect());
    tx.execute(sql.bury, params![]).await?;
    tx.execute(LEAVE, params![&*node.node_id]).await?;
    tx.execute(sql.join, params![&*node.node_id, &*node.name, &*node.address, ttl_ms]).await?;
    changed(tx, &node.node_id).await?;
    list(tx).await
}

/// Takes off whose lease has ended.
pub(super) async fn bury(tx: &mut Tx) -> Result<List, Error> {
    if tx.execute(sql(tx.dialect()).bury, params![]).await? > 0 {
        changed(tx, "expired").await?;
    }
    list(tx).await
}

/// Takes the node off the list.
pub(super) async fn leave(tx: &mut Tx, node_id: &str) -> Result<(), Error> {
    if tx.execute(LEAVE, params![node_id]).await? > 0 {
        changed(tx, node_id).await?;
    }
    Ok(())
}

/// Renews the lease; false if the node is not on the list any more.
pub(super) async fn renew(tx: &mut Tx, node_id: &str, ttl_ms: i64) -> Result<(bool, List), Error> {
    let renewed = tx.execute(sql(tx.dialect()).renew, params![node_id, ttl_ms]).await?;
    Ok((renewed > 0, list(tx).await?))
}

pub(super) async fn read(store: &Store) -> Result<List, Error> {
    Ok(collect(store.fetch_all(sql(store.dialect()).list, params![]).await?))
}

/// Aborts the transaction unless the list still has this number and this node.
pub(crate) async fn require(tx: &mut Tx, node_id: &str, epoch: u64) -> Result<(), Error> {
    let sql = match tx.dialect() {
        Dialect::Sqlite => {
            "SELECT e.epoch FROM trellis_members_epoch e JOIN trellis_members m ON m.node_id = $1
             WHERE e.id = 1 AND e.epoch = $2"
        }
        // Whoever changes the list waits for this transaction, and this one for them.
        Dialect::Postgres => {
            "SELECT e.epoch FROM trellis_members_epoch e JOIN trellis_members m ON m.node_id = $1
             WHERE e.id = 1 AND e.epoch = $2 FOR SHARE OF e"
        }
    };
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    let found: Option<i64> = tx.fetch_optional(sql, params![node_id, epoch]).await?;
    found.map(|_| ()).ok_or_else(|| {
        Error::NotLive(format!("node {node_id} is not on the list of members with number {epoch} any more"))
    })
}

async fn changed(tx: &mut Tx, key: &str) -> Result<(), Error> {
    tx.execute(NEXT_EPOCH, params![]).await?;
    tx.announce(TOPIC, key).await.map(|_| ())
}

async fn list(tx: &mut Tx) -> Result<List, Error> {
    Ok(collect(tx.fetch_all(sql(tx.dialect()).list, params![]).await?))
}

struct Line(u64, bool, Option<Member>);

impl FromRow for Line {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let member = match row.at::<Option<String>>(2)? {
            None => None,
            Some(id) => Some(Member {
                node_id: id.into(),
                name: row.at::<String>(3)?.into(),
                address: row.at::<String>(4)?.into(),
                started_unix_ms: row.at(5)?,
                expires_unix_ms: row.at(6)?,
            }),
        };
        Ok(Self(row.at(0)?, row.at(1)?, member))
    }
}

fn collect(lines: Vec<Line>) -> List {
    let epoch = lines.first().map_or(0, |line| line.0);
    let overdue = lines.iter().any(|line| line.1);
    List { epoch, overdue, members: lines.into_iter().filter_map(|line| line.2).collect() }
}
