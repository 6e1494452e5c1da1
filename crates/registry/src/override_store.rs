//! Overrides on disk: one row for each, there before the operator is told so.

use trellis_core::error::chain;
use trellis_core::{Error, Status, codes};
use trellis_storage::{Migration, Store, params};

use crate::error::Core;
use crate::state::{Override, Overrides};
use crate::view::Target;

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "overrides",
    sql: "CREATE TABLE registry_overrides (
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            status TEXT NOT NULL,
            since_unix_ms BIGINT NOT NULL,
            PRIMARY KEY (kind, name)
          )",
}];

const INSTANCE: &str = "instance";
const SERVICE: &str = "service";

/// Brings the tables up to date and reads what was said in earlier runs.
pub(crate) async fn load(store: &Store) -> Core<Overrides> {
    store.migrate("registry", MIGRATIONS).await?;
    let rows: Vec<(String, String, String, i64)> = store
        .fetch_all("SELECT kind, name, status, since_unix_ms FROM registry_overrides", params![])
        .await?;
    let mut overrides = Overrides::default();
    for (kind, name, status, since_unix_ms) in rows {
        let (target, status) = read(&kind, &name, &status).map_err(|cause| {
            let fix = "was it written by a newer version? Delete the row, or run that version";
            let text = format!(
                "the table registry_overrides has a row ({kind}, {name}, {status}) that cannot be read; {fix}"
            );
            Error::new(codes::STORE_FAILED, text).because(cause)
        })?;
        overrides.set(target, Some(Override { status, since_unix_ms }));
    }
    Ok(overrides)
}

fn read(kind: &str, name: &str, status: &str) -> Result<(Target, Status), String> {
    let target = match kind {
        INSTANCE => Target::Instance(name.parse().map_err(|e| chain(&e))?),
        SERVICE => Target::Service(name.parse().map_err(|e| chain(&e))?),
        other => return Err(format!("{other:?} is no kind")),
    };
    Ok((target, status.parse()?))
}

/// Writes an override down, or strikes it out. Durable once this returns.
pub(crate) async fn save(
    store: &Store,
    target: &Target,
    said: Option<Override>,
) -> Result<(), trellis_storage::Error> {
    let (kind, name) = match target {
        Target::Instance(id) => (INSTANCE, id.as_str()),
        Target::Service(name) => (SERVICE, name.as_str()),
    };
    let rows = match said {
        Some(said) => {
            let sql = "INSERT INTO registry_overrides (kind, name, status, since_unix_ms) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (kind, name) DO UPDATE SET status = excluded.status, since_unix_ms = excluded.since_unix_ms";
            store.execute(sql, params![kind, name, said.status.as_str(), said.since_unix_ms]).await
        }
        None => {
            store
                .execute("DELETE FROM registry_overrides WHERE kind = $1 AND name = $2", params![kind, name])
                .await
        }
    };
    rows.map(drop)
}
