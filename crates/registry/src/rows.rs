//! The registry's tables where several members share them: every row has a revision and a holder, and every change is
//! announced.
//!
//! A change is planned on what a member knows, and written only if that is still what the rows say: all of it is
//! ordered, so nobody can come in between. PostgreSQL only; a file has one member, which needs none of this.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::warn;
use trellis_core::Status;
use trellis_core::error::chain;
use trellis_storage::{Error, Store, Tx, params};

use crate::error::Core;
use crate::model::names::{InstanceKey, Name};
use crate::state::{About, Dirty, Override, SavedInstance, SavedNode, Standing};
use crate::table::{self, Row, body, lower, named, number, parse, unreadable};

/// Under which changes are announced. Keys are `i/namespace/node/id`, `n/name` and `o/kind/name`.
pub(crate) const TOPIC: &str = "registry";
/// So many rows are read at once.
const PAGE: i64 = 4_096;

/// A row that is to be written, and what has to be true for that.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) row: Row,
    /// What the row has to be at; of no meaning for an override.
    pub(crate) base: u64,
    pub(crate) holder: Arc<str>,
}

/// Why nothing was written.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Another member was faster: read, decide and try again.
    Moved,
    Store(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Something that a member reads because it changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    Instance(String, String, String),
    Node(String),
    Override(String, String),
}

/// What is there by now.
#[derive(Default)]
pub(crate) struct Found {
    /// All rows, also those that cannot be read.
    pub(crate) seen: BTreeSet<Named>,
    pub(crate) nodes: Vec<(SavedNode, Standing)>,
    pub(crate) instances: Vec<(SavedInstance, Standing)>,
    pub(crate) overrides: Vec<(About, Override)>,
}

/// Some instances, and where the next begin.
pub(crate) struct Instances {
    pub(crate) found: Found,
    pub(crate) last: (String, String, String),
}

impl Named {
    pub(crate) fn of(what: &Dirty) -> Self {
        match what {
            Dirty::Instance(key) => Self::of_instance(key),
            Dirty::Node(name) => Self::Node(lower(name)),
        }
    }

    fn of_instance(key: &InstanceKey) -> Self {
        Self::Instance(key.namespace.to_string(), lower(&key.node), key.id.to_string())
    }

    pub(crate) fn of_row(row: &Row) -> Self {
        match row {
            Row::Instance(key, _) | Row::NoInstance(key) => Self::of_instance(key),
            Row::Node(name, _) | Row::NoNode(name) => Self::Node(lower(name)),
            Row::Override(about, _) => {
                let (kind, name) = named(about, None);
                Self::Override(kind.into(), name)
            }
        }
    }

    /// What an announcement is about.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        match kind {
            "i" => {
                let mut parts = rest.splitn(3, '/').map(str::to_owned);
                Some(Self::Instance(parts.next()?, parts.next()?, parts.next()?))
            }
            "n" => Some(Self::Node(rest.into())),
            "o" => rest.split_once('/').map(|(kind, name)| Self::Override(kind.into(), name.into())),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Instance(namespace, node, id) => format!("i/{namespace}/{node}/{id}"),
            Self::Node(name) => format!("n/{name}"),
            Self::Override(kind, name) => format!("o/{kind}/{name}"),
        }
    }

    /// The instance or node, as memory names it.
    pub(crate) fn what(&self) -> Option<Dirty> {
        match self {
            Self::Instance(namespace, node, id) => Some(Dirty::Instance(InstanceKey {
                namespace: namespace.parse().ok()?,
                node: node.parse().ok()?,
                id: id.parse().ok()?,
            })),
            Self::Node(name) => Some(Dirty::Node(name.parse().ok()?)),
            Self::Override(..) => None,
        }
    }

    /// What an override is about.
    pub(crate) fn about(&self, own: &Name) -> Option<About> {
        let Self::Override(kind, name) = self else { return None };
        table::read(kind, name, Status::Up.as_str(), own).ok().map(|(about, _)| about)
    }
}

impl Found {
    /// A row of a newer version is left as it was.
    fn add_node(&mut self, row: NodeRow) {
        self.seen.insert(Named::Node(row.0.clone()));
        match node(row) {
            Ok(node) => self.nodes.push(node),
            Err(error) => warn!(error = %chain(&error), "a node that another member wrote is not taken in"),
        }
    }

    fn add_instance(&mut self, row: InstanceRow) {
        self.seen.insert(Named::Instance(row.0.clone(), row.1.clone(), row.2.clone()));
        match instance(row) {
            Ok(instance) => self.instances.push(instance),
            Err(error) => {
                warn!(error = %chain(&error), "an instance that another member wrote is not taken in");
            }
        }
    }
}

/// The revision of each line, if all are written. `fence`: who writes, and the list of members that it was decided on.
pub(crate) async fn write(
    store: &Store,
    lines: Vec<Line>,
    fence: Option<(Arc<str>, u64)>,
) -> Result<Vec<u64>, Halt> {
    store
        .write_ordered(move |tx| {
            Box::pin(async move {
                if let Some((member, epoch)) = fence {
                    tx.require_live(&member, epoch).await?;
                }
                let (mut come, mut gone, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
                for line in &lines {
                    match &line.row {
                        Row::Instance(key, _) | Row::NoInstance(key) => {
                            gone.push((&key.namespace, lower(&key.node), &key.id, line.base));
                        }
                        Row::Node(name, _) | Row::NoNode(name) => nodes.push((lower(name), line.base)),
                        Row::Override(..) => {}
                    }
                }
                if !(stand(tx, INSTANCES_STAND, &gone).await? && stand(tx, NODES_STAND, &nodes).await?) {
                    return Err(Halt::Moved);
                }
                let (mut removed, mut revisions) = (Vec::new(), Vec::new());
                for line in lines {
                    let revision = tx.announce(TOPIC, Named::of_row(&line.row).text()).await?;
                    revisions.push(revision);
                    match line.row {
                        Row::Instance(key, body) => {
                            let node = lower(&key.node);
                            come.push((key.namespace, node, key.id, body, line.holder, revision));
                        }
                        Row::NoInstance(key) => removed.push((key.namespace, lower(&key.node), key.id)),
                        Row::Node(name, body) => {
                            let at = number(revision);
                            tx.execute(PUT_NODE, params![lower(&name), body, &*line.holder, at]).await?;
                        }
                        other => table::single(tx, other, None).await?,
                    }
                }
                if !come.is_empty() {
                    if !stand(tx, NODES_THERE, &come).await? {
                        return Err(Halt::Moved);
                    }
                    tx.execute(PUT_INSTANCES, params![body(&come)?]).await?;
                }
                if !removed.is_empty() {
                    tx.execute(REMOVE_INSTANCES, params![body(&removed)?]).await?;
                }
                Ok(revisions)
            })
        })
        .await
}

/// Whether a statement that counts what is wrong finds nothing.
async fn stand(tx: &mut Tx, sql: &'static str, list: &impl serde::Serialize) -> Result<bool, Error> {
    let wrong: i64 = tx.fetch_one(sql, params![body(list)?]).await?;
    Ok(wrong == 0)
}

const INSTANCES_STAND: &str = "SELECT count(*) FROM json_array_elements($1::json) AS c
    LEFT JOIN registry_instances r ON r.namespace = c->>0 AND r.node = c->>1 AND r.id = c->>2
    WHERE COALESCE(r.revision, 0) <> (c->>3)::bigint";
const NODES_STAND: &str = "SELECT count(*) FROM json_array_elements($1::json) AS c
    LEFT JOIN registry_nodes r ON r.name = c->>0 WHERE COALESCE(r.revision, 0) <> (c->>1)::bigint";
const NODES_THERE: &str =
    "SELECT count(*) FROM (SELECT DISTINCT c->>1 AS name FROM json_array_elements($1::json) AS c)
    AS wanted WHERE wanted.name NOT IN (SELECT name FROM registry_nodes)";
const PUT_INSTANCES: &str = "INSERT INTO registry_instances (namespace, node, id, body, holder, revision)
    SELECT c->>0, c->>1, c->>2, c->>3, c->>4, (c->>5)::bigint FROM json_array_elements($1::json) AS c
    ON CONFLICT (namespace, node, id) DO UPDATE
    SET body = excluded.body, holder = excluded.holder, revision = excluded.revision";
const REMOVE_INSTANCES: &str = "DELETE FROM registry_instances WHERE (namespace, node, id) IN (
    SELECT c->>0, c->>1, c->>2 FROM json_array_elements($1::json) AS c)";
const PUT_NODE: &str = "INSERT INTO registry_nodes (name, body, holder, revision) VALUES ($1, $2, $3, $4)
    ON CONFLICT (name) DO UPDATE
    SET body = excluded.body, holder = excluded.holder, revision = excluded.revision";
const GET_INSTANCES: &str = "SELECT r.namespace, r.node, r.id, r.body, r.holder, r.revision
    FROM json_array_elements($1::json) AS c
    JOIN registry_instances r ON r.namespace = c->>0 AND r.node = c->>1 AND r.id = c->>2";
const GET_NODES: &str = "SELECT r.name, r.body, r.holder, r.revision FROM json_array_elements($1::json) AS c
    JOIN registry_nodes r ON r.name = c->>0";
const GET_OVERRIDES: &str =
    "SELECT r.kind, r.name, r.status, r.since_unix_ms FROM json_array_elements($1::json) AS c
    JOIN registry_overrides r ON r.kind = c->>0 AND r.name = c->>1";

/// Puts the own node down, unless that was done before.
pub(crate) async fn put_own_node(store: &Store, saved: &SavedNode, me: &str) -> Core<()> {
    let (name, text, me) = (lower(&saved.registration.name), body(saved)?, me.to_owned());
    let put = store.write_ordered(move |tx| {
        Box::pin(async move {
            let sql = "SELECT 1 FROM registry_nodes WHERE name = $1";
            let there: Option<i32> = tx.fetch_optional(sql, params![&name]).await?;
            if there.is_none() {
                let revision = tx.announce(TOPIC, Named::Node(name.clone()).text()).await?;
                let revision = number(revision);
                tx.execute(PUT_NODE, params![name, text, me, revision]).await?;
            }
            Ok::<_, Error>(())
        })
    });
    Ok(put.await?)
}

type InstanceRow = (String, String, String, String, String, i64);
type NodeRow = (String, String, String, i64);

/// What is there of these by now.
pub(crate) async fn read(store: &Store, names: &[Named], own: &Name) -> Core<Found> {
    let (mut instances, mut nodes, mut overrides) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match name {
            Named::Instance(namespace, node, id) => instances.push((namespace, node, id)),
            Named::Node(name) => nodes.push([name]),
            Named::Override(kind, name) => overrides.push((kind, name)),
        }
    }
    let mut found = Found::default();
    if !nodes.is_empty() {
        let rows: Vec<NodeRow> = store.fetch_all(GET_NODES, params![body(&nodes)?]).await?;
        for row in rows {
            found.add_node(row);
        }
    }
    if !instances.is_empty() {
        let rows: Vec<InstanceRow> = store.fetch_all(GET_INSTANCES, params![body(&instances)?]).await?;
        for row in rows {
            found.add_instance(row);
        }
    }
    if !overrides.is_empty() {
        let rows: Vec<(String, String, String, i64)> =
            store.fetch_all(GET_OVERRIDES, params![body(&overrides)?]).await?;
        for (kind, name, status, since_unix_ms) in rows {
            let (about, status) = table::read(&kind, &name, &status, own)
                .map_err(|cause| unreadable("registry_overrides", &name, &cause))?;
            found.seen.insert(Named::Override(kind, name));
            found.overrides.push((about, Override { status, since_unix_ms }));
        }
    }
    Ok(found)
}

/// All nodes.
pub(crate) async fn all_nodes(store: &Store) -> Core<Found> {
    let sql = "SELECT name, body, holder, revision FROM registry_nodes ORDER BY name";
    let rows: Vec<NodeRow> = store.fetch_all(sql, params![]).await?;
    let mut found = Found::default();
    for row in rows {
        found.add_node(row);
    }
    Ok(found)
}

/// A page of instances; none after the last.
pub(crate) async fn some_instances(
    store: &Store,
    after: &(String, String, String),
) -> Core<Option<Instances>> {
    let sql = "SELECT namespace, node, id, body, holder, revision FROM registry_instances
               WHERE (namespace, node, id) > ($1, $2, $3) ORDER BY namespace, node, id LIMIT $4";
    let (namespace, name, id) = after;
    let rows: Vec<InstanceRow> = store.fetch_all(sql, params![namespace, name, id, PAGE]).await?;
    let Some(row) = rows.last() else { return Ok(None) };
    let last = (row.0.clone(), row.1.clone(), row.2.clone());
    let mut found = Found::default();
    for row in rows {
        found.add_instance(row);
    }
    Ok(Some(Instances { found, last }))
}

fn instance(row: InstanceRow) -> Core<(SavedInstance, Standing)> {
    let (namespace, node, id, text, holder, revision) = row;
    let mut saved: SavedInstance = parse("registry_instances", &format!("{namespace}, {node}, {id}"), &text)?;
    if saved.registration.node.is_none() {
        // Written by one who shared with nobody; the row knows where it is.
        let name = node.parse().map_err(|error| unreadable("registry_instances", &node, &chain(&error)))?;
        saved.registration.node = Some(name);
    }
    Ok((saved, standing(holder, revision)))
}

fn node(row: NodeRow) -> Core<(SavedNode, Standing)> {
    let (name, text, holder, revision) = row;
    Ok((parse("registry_nodes", &name, &text)?, standing(holder, revision)))
}

fn standing(holder: String, revision: i64) -> Standing {
    Standing { revision: u64::try_from(revision).unwrap_or_default(), holder: holder.into() }
}
