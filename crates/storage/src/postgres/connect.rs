//! Opening the pools, with errors that say what to do.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};

use crate::{Error, Options};

/// Connections nobody uses are closed after this long.
const IDLE: Duration = Duration::from_mins(5);

/// So much later than this side the server ends a transaction in which nothing happens: if this side is stopped or cut
/// off. If it were faster, a piece of work that hangs would take those with it that share its transaction.
const LATER: Duration = Duration::from_secs(1);

const IDLE_IN_TRANSACTION: &str = "idle_in_transaction_session_timeout";

pub(super) struct Pools {
    pub(super) readers: PgPool,
    pub(super) writers: PgPool,
    /// One connection, for ordered writes.
    pub(super) ordered: PgPool,
    /// One connection, for leases.
    pub(super) leases: PgPool,
    /// Makes the one connection that hears of changes.
    pub(super) for_listening: ForListening,
}

/// Makes pools of one connection, to listen over.
#[derive(Clone)]
pub(super) struct ForListening {
    pool: PgPoolOptions,
    connect: PgConnectOptions,
}

impl ForListening {
    /// A new pool. One whose connection fell silent is not to be used again: the driver waits for that to say goodbye.
    pub(super) fn pool(&self) -> PgPool {
        self.pool.clone().connect_lazy_with(self.connect.clone())
    }
}

/// The pools, after one connection has shown that the address is right.
pub(super) async fn pools(options: &Options) -> Result<Pools, Error> {
    let connect = connect_options(options)?;
    let place = options.safe_url();
    match tokio::time::timeout(options.acquire_timeout, connect.connect()).await {
        Ok(Ok(connection)) => {
            // It has served; the pools open their own when they are needed.
            drop(connection.close().await);
        }
        Ok(Err(error)) => return Err(explain(&place, &error)),
        Err(_) => {
            return Err(Error::Unavailable(format!(
                "{place} did not answer within {:?}; check host, port and firewall",
                options.acquire_timeout
            )));
        }
    }
    let pool = PgPoolOptions::new()
        .max_connections(options.max_readers.max(1))
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(IDLE);
    let readers = connect.clone().options([("default_transaction_read_only", "on")]);
    let ordered = connect.clone().options([(IDLE_IN_TRANSACTION, milliseconds(silence(options)))]);
    Ok(Pools {
        for_listening: ForListening {
            pool: pool.clone().max_connections(1).max_lifetime(None),
            connect: readers.clone(),
        },
        readers: pool.clone().connect_lazy_with(readers),
        writers: pool.clone().connect_lazy_with(connect.clone()),
        leases: pool.clone().max_connections(1).connect_lazy_with(connect.clone()),
        ordered: pool.max_connections(1).connect_lazy_with(ordered),
    })
}

fn connect_options(options: &Options) -> Result<PgConnectOptions, Error> {
    // The parser's own error might repeat a part of the URL.
    let parsed = PgConnectOptions::from_str(&options.url).map_err(|_| {
        Error::Unavailable(format!(
            "`{}` is not a PostgreSQL URL; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %XX for special characters",
            options.safe_url()
        ))
    })?;
    Ok(parsed.options([
        ("lock_timeout", milliseconds(options.busy_timeout)),
        ("statement_timeout", milliseconds(options.max_work)),
        (IDLE_IN_TRANSACTION, milliseconds(options.max_work + LATER)),
    ]))
}

/// How long nothing may happen in an ordered transaction, for which all nodes wait: less than they wait for it. So nobody's
/// write fails because a node was cut off in the middle of one of its own.
fn silence(options: &Options) -> Duration {
    (options.busy_timeout * 3 / 4).min(options.max_work + LATER)
}

fn milliseconds(time: Duration) -> String {
    time.as_millis().max(1).to_string()
}

fn explain(place: &str, error: &sqlx::Error) -> Error {
    let code =
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned();
    let hint = match (code.as_str(), error) {
        ("28P01" | "28000", _) => "check user and password in the database URL, and pg_hba.conf",
        ("3D000", _) => "create the database, or name another",
        ("53300", _) => "raise max_connections of the server, or lower max_readers",
        (_, sqlx::Error::Io(_)) => "check that the server runs, and host and port in the database URL",
        (_, sqlx::Error::Tls(_)) => "check sslmode in the database URL and the server's certificate",
        _ => "check the database URL",
    };
    Error::Unavailable(format!("{place}: {error}; {hint}"))
}
