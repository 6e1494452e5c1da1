//! The registry's tables: what is registered and what operators said, there before anyone is told so. Heartbeats never
//! come here.

use serde::Serialize;
use serde::de::DeserializeOwned;
use trellis_core::error::chain;
use trellis_core::{Error, Status, codes};
use trellis_storage::{Dialect, Migration, Store, Tx, params};

use crate::error::Core;
use crate::model::names::{InstanceKey, Name, Namespace, ServiceKey};
use crate::state::{About, Now, Override, Overrides, SavedInstance, SavedNode, State};

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "overrides",
        sql: "CREATE TABLE registry_overrides (
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            status TEXT NOT NULL,
            since_unix_ms BIGINT NOT NULL,
            PRIMARY KEY (kind, name)
          )",
    },
    Migration {
        version: 2,
        name: "instances and nodes",
        sql: "CREATE TABLE registry_instances (
            namespace TEXT NOT NULL,
            node TEXT NOT NULL,
            id TEXT NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (namespace, node, id)
          );
          CREATE TABLE registry_nodes (
            name TEXT NOT NULL PRIMARY KEY,
            body TEXT NOT NULL
          );
          CREATE TABLE registry_marks (
            name TEXT NOT NULL PRIMARY KEY,
            value BIGINT NOT NULL
          )",
    },
    Migration {
        version: 3,
        name: "holders",
        sql: "ALTER TABLE registry_instances ADD COLUMN holder TEXT NOT NULL DEFAULT '';
          ALTER TABLE registry_instances ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
          ALTER TABLE registry_nodes ADD COLUMN holder TEXT NOT NULL DEFAULT '';
          ALTER TABLE registry_nodes ADD COLUMN revision BIGINT NOT NULL DEFAULT 0",
    },
];

/// Of a file that nobody shares: instances have places that memory knows, and no index.
const FILE_MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "rows",
    sql: "CREATE TABLE registry_rows (
        place INTEGER PRIMARY KEY,
        node TEXT NOT NULL,
        body TEXT NOT NULL
      );
      INSERT INTO registry_rows (place, node, body) SELECT rowid, node, body FROM registry_instances;
      DELETE FROM registry_instances",
}];

/// How an instance of the default namespace on the own node is named, and a service of the default namespace.
const INSTANCE: &str = "instance";
const SERVICE: &str = "service";
/// How all others are: `namespace/node/id` and `namespace/name`.
const INSTANCE_AT: &str = "instance_at";
const SERVICE_AT: &str = "service_at";
/// So many rows are read at once, so that a start needs no more memory than what it loads.
const PAGE: i64 = 1_024;
/// The index is written down so far ahead: it is a promise never to start below.
pub(crate) const AHEAD: u64 = 1_000_000_000;

/// One change of the tables.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Row {
    Instance(InstanceKey, String),
    NoInstance(InstanceKey),
    Node(Name, String),
    /// With all instances on it.
    NoNode(Name),
    Override(About, Option<Override>),
}

/// The body of a row.
pub(crate) fn body(value: &impl Serialize) -> Result<String, trellis_storage::Error> {
    serde_json::to_string(value).map_err(|error| trellis_storage::Error::Invalid(error.to_string()))
}

/// Brings the tables up to date.
pub(crate) async fn prepare(store: &Store) -> Core<()> {
    store.migrate("registry", MIGRATIONS).await?;
    if store.dialect() == Dialect::Sqlite {
        store.migrate("registry_rows", FILE_MIGRATIONS).await?;
    }
    Ok(())
}

/// Where counting starts: above what any earlier run reached, whatever the wall clock says by now. Written down before
/// it is used.
pub(crate) async fn first_index(store: &Store, unix_ms: i64) -> Core<u64> {
    let sql = "SELECT value FROM registry_marks WHERE name = 'index'";
    let promised: Option<i64> = store.fetch_optional(sql, params![]).await?;
    let promised = promised.and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
    // Below 2^53, so that JavaScript can hold it.
    let index = u64::try_from(unix_ms).unwrap_or_default().saturating_mul(1000).max(promised);
    promise(store, index + AHEAD).await?;
    Ok(index)
}

/// Writes down that no later run starts below, of whichever member.
pub(crate) async fn promise(store: &Store, index: u64) -> Result<(), trellis_storage::Error> {
    let sql = "INSERT INTO registry_marks (name, value) VALUES ('index', $1)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value
               WHERE registry_marks.value < excluded.value";
    store.execute(sql, params![number(index)]).await.map(drop)
}

/// What operators said in earlier runs.
pub(crate) async fn overrides(store: &Store, own: &Name) -> Core<Overrides> {
    let sql = "SELECT kind, name, status, since_unix_ms FROM registry_overrides";
    let rows: Vec<(String, String, String, i64)> = store.fetch_all(sql, params![]).await?;
    let mut overrides = Overrides::default();
    for (kind, name, status, since_unix_ms) in rows {
        let (about, status) = read(&kind, &name, &status, own).map_err(|cause| {
            unreadable("registry_overrides", &format!("{kind}, {name}, {status}"), &cause)
        })?;
        overrides.set(about, Some(Override { status, since_unix_ms }));
    }
    Ok(overrides)
}

/// Overrides of instances on the own node did not name it before others shared the table.
pub(crate) async fn name_nodes(store: &Store, own: &Name) -> Core<()> {
    let at = format!("{}/{}/", Namespace::default(), lower(own));
    let named = store.write(move |tx| {
        Box::pin(async move {
            let sql = "INSERT INTO registry_overrides (kind, name, status, since_unix_ms)
                         SELECT $1, $2 || name, status, since_unix_ms FROM registry_overrides WHERE kind = $3
                       ON CONFLICT (kind, name) DO NOTHING";
            tx.execute(sql, params![INSTANCE_AT, at, INSTANCE]).await?;
            tx.execute("DELETE FROM registry_overrides WHERE kind = $1", params![INSTANCE]).await?;
            Ok::<_, trellis_storage::Error>(())
        })
    });
    Ok(named.await?)
}

/// Takes back nodes, then instances. SQLite only: where others share the tables, rows are followed.
pub(crate) async fn load(store: &Store, state: &mut State, now: impl Fn() -> Now) -> Core<()> {
    let sql = "SELECT name, body FROM registry_nodes ORDER BY name";
    let nodes: Vec<(String, String)> = store.fetch_all(sql, params![]).await?;
    for (name, text) in nodes {
        let saved: SavedNode = parse("registry_nodes", &name, &text)?;
        let restored = state.restore_node(saved, now());
        restored.map_err(|error| unreadable("registry_nodes", &name, &chain(&error)))?;
    }
    state.begin_load();
    let mut page = read_page(store.clone(), 0).await?;
    while let Page::Some { last, instances } = page {
        // The next one is read and parsed meanwhile.
        let next = tokio::spawn(read_page(store.clone(), last));
        for (place, saved) in instances {
            let key = state.key_of(&saved.registration);
            let restored = state.restore(saved, now());
            restored.map_err(|error| unreadable("registry_rows", key.id.as_str(), &chain(&error)))?;
            state.put_at(&key, place);
        }
        page = next
            .await
            .map_err(|error| Error::new(codes::INTERNAL, "a page was not read").because(error))??;
    }
    state.end_load(now());
    match page {
        Page::Unreadable => find_unreadable(store).await,
        Page::Some { .. } | Page::None => Ok(()),
    }
}

/// Some instances, and where their rows are.
enum Page {
    Some {
        last: u64,
        instances: Vec<(u64, SavedInstance)>,
    },
    /// There are no more.
    None,
    /// One of them cannot be read.
    Unreadable,
}

/// Those behind a place.
async fn read_page(store: Store, after: u64) -> Core<Page> {
    // A page is one row: a row for each instance would be handed from thread to thread a hundred thousand times.
    let sql = "SELECT max(place), '[' || group_concat('[' || place || ',' || body || ']', ',') || ']' FROM (
                 SELECT place, body FROM registry_rows WHERE place > $1 ORDER BY place LIMIT $2)";
    let (last, text): (Option<u64>, Option<String>) =
        store.fetch_one(sql, params![number(after), PAGE]).await?;
    let (Some(last), Some(text)) = (last, text) else { return Ok(Page::None) };
    Ok(match serde_json::from_str(&text) {
        Ok(instances) => Page::Some { last, instances },
        Err(_) => Page::Unreadable,
    })
}

/// Says which instance it is that cannot be read.
async fn find_unreadable(store: &Store) -> Core<()> {
    let mut after = 0;
    loop {
        let sql = "SELECT place, body FROM registry_rows WHERE place > $1 ORDER BY place LIMIT $2";
        let rows: Vec<(u64, String)> = store.fetch_all(sql, params![number(after), PAGE]).await?;
        let Some((last, _)) = rows.last() else {
            let cause = "its rows are JSON each, and together they are not";
            return Err(unreadable("registry_rows", "all", cause));
        };
        after = *last;
        for (place, text) in rows {
            parse::<SavedInstance>("registry_rows", &format!("place {place}"), &text)?;
        }
    }
}

pub(crate) fn parse<T: DeserializeOwned>(table: &str, key: &str, text: &str) -> Core<T> {
    serde_json::from_str(text).map_err(|error| unreadable(table, key, &error.to_string()))
}

pub(crate) fn unreadable(table: &str, key: &str, cause: &str) -> Error {
    let fix = "was it written by a newer version? Delete the row, or run that version";
    let text = format!("the table {table} has a row ({key}) that cannot be taken back; {fix}");
    Error::new(codes::STORE_FAILED, text).because(cause.to_owned())
}

pub(crate) fn read(kind: &str, name: &str, status: &str, own: &Name) -> Result<(About, Status), String> {
    let parts: Vec<&str> = name.split('/').collect();
    let namespace = |text: &str| text.parse::<Namespace>().map_err(|e| chain(&e));
    let about = match (kind, parts.as_slice()) {
        (INSTANCE, [id]) => About::Instance(InstanceKey {
            namespace: Namespace::default(),
            node: own.clone(),
            id: id.parse().map_err(|e| chain(&e))?,
        }),
        (INSTANCE_AT, [space, node, id]) => About::Instance(InstanceKey {
            namespace: namespace(space)?,
            node: node.parse().map_err(|e| chain(&e))?,
            id: id.parse().map_err(|e| chain(&e))?,
        }),
        (SERVICE, [name]) => About::Service(ServiceKey::of(name.parse::<Name>().map_err(|e| chain(&e))?)),
        (SERVICE_AT, [space, name]) => About::Service(ServiceKey {
            namespace: namespace(space)?,
            name: name.parse().map_err(|e| chain(&e))?,
        }),
        (other, _) => return Err(format!("{other:?} is no kind for {name:?}")),
    };
    Ok((about, status.parse()?))
}

/// What a write changes in a file, in this order.
#[derive(Debug, Default)]
pub(crate) struct FileRows {
    /// Everything but instances.
    pub(crate) others: Vec<Row>,
    /// Places whose rows go.
    pub(crate) empty: Vec<u64>,
    /// Rows of instances: place, node, body.
    pub(crate) put: Vec<(u64, String, String)>,
}

impl FileRows {
    pub(crate) fn is_empty(&self) -> bool {
        self.others.is_empty() && self.empty.is_empty() && self.put.is_empty()
    }
}

/// Writes changes to a file that nobody shares. All or none; durable once this returns.
pub(crate) async fn write(store: &Store, rows: FileRows, own: Name) -> Result<(), trellis_storage::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    store
        .write(move |tx| {
            Box::pin(async move {
                for row in rows.others {
                    single(tx, row, Some(&own)).await?;
                }
                if !rows.empty.is_empty() {
                    tx.execute(EMPTY, params![body(&rows.empty)?]).await?;
                }
                if !rows.put.is_empty() {
                    tx.execute(PUT, params![body(&rows.put)?]).await?;
                }
                Ok(())
            })
        })
        .await
}

// A list goes in one statement: as a document, since the number of parameters is part of a statement.
const EMPTY: &str = "DELETE FROM registry_rows WHERE place IN (SELECT value FROM json_each($1))";
const PUT: &str = "INSERT INTO registry_rows (place, node, body)
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1) WHERE TRUE
    ON CONFLICT (place) DO UPDATE SET node = excluded.node, body = excluded.body";

/// Places, indexes and revisions are counted up and never reach the end of the type.
pub(crate) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// `own`: the node of which overrides need not name the node; none if others read them.
pub(crate) async fn single(tx: &mut Tx, row: Row, own: Option<&Name>) -> Result<(), trellis_storage::Error> {
    match row {
        Row::Instance(..) | Row::NoInstance(_) => {}
        Row::Node(name, body) => {
            let sql = "INSERT INTO registry_nodes (name, body) VALUES ($1, $2)
                       ON CONFLICT (name) DO UPDATE SET body = excluded.body";
            tx.execute(sql, params![lower(&name), body]).await?;
        }
        Row::NoNode(name) => {
            let name = lower(&name);
            let sql = match tx.dialect() {
                Dialect::Sqlite => "DELETE FROM registry_rows WHERE node = $1",
                Dialect::Postgres => "DELETE FROM registry_instances WHERE node = $1",
            };
            tx.execute(sql, params![&name]).await?;
            tx.execute("DELETE FROM registry_nodes WHERE name = $1", params![&name]).await?;
        }
        Row::Override(about, said) => {
            let (kind, name) = named(&about, own);
            if let Some(said) = said {
                let sql = "INSERT INTO registry_overrides (kind, name, status, since_unix_ms)
                           VALUES ($1, $2, $3, $4) ON CONFLICT (kind, name)
                           DO UPDATE SET status = excluded.status, since_unix_ms = excluded.since_unix_ms";
                tx.execute(sql, params![kind, name, said.status.as_str(), said.since_unix_ms]).await?;
            } else {
                let sql = "DELETE FROM registry_overrides WHERE kind = $1 AND name = $2";
                tx.execute(sql, params![kind, name]).await?;
            }
        }
    }
    Ok(())
}

/// How an override's row is called.
pub(crate) fn named(about: &About, own: Option<&Name>) -> (&'static str, String) {
    match about {
        About::Instance(key) if key.namespace.is_default() && Some(&key.node) == own => {
            (INSTANCE, key.id.to_string())
        }
        About::Instance(key) => (INSTANCE_AT, format!("{}/{}/{}", key.namespace, lower(&key.node), key.id)),
        About::Service(key) if key.namespace.is_default() => (SERVICE, lower(&key.name)),
        About::Service(key) => (SERVICE_AT, format!("{}/{}", key.namespace, lower(&key.name))),
    }
}

/// A name as rows have it.
pub(crate) fn lower(name: &Name) -> String {
    name.as_str().to_ascii_lowercase()
}
