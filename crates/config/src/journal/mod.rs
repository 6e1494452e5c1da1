//! What was written and is not in its tables yet.
//!
//! A write puts everything that it changes into one row, at the end of one table: few pages, and one statement. Now and
//! then the rows are folded into the tables of cells, versions and audit: a cell that was written often is written once,
//! and the pages of the indexes once for many changes. Both are there in the same transaction, so whoever reads the
//! cells and the journal in one statement misses nothing and sees nothing twice.

mod fold;
mod rows;
mod step;

use trellis_storage::{Error, Tx, params};

use crate::cells::number;

pub(crate) use fold::{Fold, fold};
pub(crate) use rows::{Heap, Statement, json};
pub(crate) use step::{Step, text};

/// When the steps in it [weigh](Step::weight) so much, the journal is folded: 16,384 small ones, or about 8 MB. A key that
/// has many of them is then written in few places.
pub(crate) const FOLD_AT: usize = 16_384;
/// When they weigh so much all the same, the next write folds it, and its neighbours wait.
pub(crate) const FOLD_FIRST_AT: usize = 4 * FOLD_AT;

/// Adds what a write changes; the revision is that of its last change.
pub(crate) async fn put(tx: &mut Tx, revision: u64, steps: &[Step]) -> Result<(), Error> {
    let sql = "INSERT INTO config_journal (revision, body) VALUES ($1, $2)";
    let body = serde_json::to_string(steps).map_err(|error| Error::Invalid(error.to_string()))?;
    tx.execute(sql, params![number(revision), body]).await.map(drop)
}

/// The steps of a row.
pub(crate) fn steps(body: &str) -> Result<Vec<Step>, Error> {
    serde_json::from_str(body).map_err(|error| {
        let text = "was it written by a newer version? Run that one";
        Error::Decode(format!("config_journal has a row that cannot be read: {error}; {text}"))
    })
}
