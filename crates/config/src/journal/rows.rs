//! Many rows in one statement: a list in JSON, and the bytes of all of them in one parameter.

use serde::Serialize;
use trellis_storage::{Dialect, Error, Tx};

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

/// The statement for the database at hand.
pub(crate) fn pick(tx: &Tx, sqlite: &'static str, postgres: &'static str) -> &'static str {
    match tx.dialect() {
        Dialect::Sqlite => sqlite,
        Dialect::Postgres => postgres,
    }
}
