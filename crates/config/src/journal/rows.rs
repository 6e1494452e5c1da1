//! Many rows in one statement: a list in JSON, and the bytes of all of them in one parameter.

use serde::Serialize;
use trellis_storage::{Dialect, Error, Params, Tx};

/// A statement with its parameters, made before the transaction that runs it.
pub(crate) struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) params: Params,
}

impl Statement {
    /// The form for the database at hand.
    pub(crate) fn new(
        dialect: Dialect,
        sqlite: &'static str,
        postgres: &'static str,
        params: Params,
    ) -> Self {
        let sql = match dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        };
        Self { sql, params }
    }

    pub(crate) async fn run(self, tx: &mut Tx) -> Result<u64, Error> {
        tx.execute(self.sql, self.params).await
    }
}

/// Bytes of many rows: where each begins, counted from 1, and how many it has.
pub(crate) struct Heap(Vec<u8>);

impl Heap {
    pub(crate) fn new() -> Self {
        // SQLite makes NULL of any part of nothing.
        Self(vec![0])
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) -> (usize, usize) {
        let begin = self.0.len() + 1;
        self.0.extend_from_slice(bytes);
        (begin, bytes.len())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) fn json(list: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(list).map_err(|error| Error::Invalid(error.to_string()))
}
