//! A newer snapshot, and what makes it newer.

use tracing::error;
use trellis_core::error::chain;
use trellis_storage::{Store, Tx};

use crate::cells::{self, Cell, Found, Kind};
use crate::error::{Error, Result};
use crate::journal::Step;
use crate::snapshot::Snapshot;

/// What the database has, taken into a snapshot.
pub(crate) struct Reading {
    pub(crate) snapshot: Snapshot,
    /// What came in, in its order.
    pub(crate) cells: Vec<Cell>,
    /// Deletions that the old snapshot had not seen are forgotten, so everything was read anew.
    pub(crate) forgotten: bool,
    /// What the steps weigh that came in and are not folded yet.
    pub(crate) journaled: usize,
}

impl Reading {
    /// What has changed since the old one.
    pub(crate) async fn of(store: &Store, old: &Snapshot) -> Result<Self> {
        let found = cells::since(store, old.revision).await?;
        match Self::take_in(old, found)? {
            Some(reading) => Ok(reading),
            None => Self::anew(cells::since(store, 0).await?),
        }
    }

    /// The same, within a transaction.
    pub(crate) async fn in_tx(tx: &mut Tx, old: &Snapshot) -> Result<Self> {
        let found = cells::since_in(tx, old.revision).await?;
        match Self::take_in(old, found)? {
            Some(reading) => Ok(reading),
            None => Self::anew(cells::since_in(tx, 0).await?),
        }
    }

    /// Takes in what a change does. Nothing is changed on an error.
    pub(crate) fn apply(&mut self, steps: &[Step]) -> Result<()> {
        let cells: Vec<&Cell> = steps.iter().filter_map(Step::cell).collect();
        if let [cell] = cells[..] {
            // What is written to a copy has first to be copied itself; one cell alone needs none.
            self.snapshot.apply(cell).map_err(|cause| unreadable(cell, &cause))?;
        } else {
            let mut next = self.snapshot.clone();
            for cell in &cells {
                next.apply(cell).map_err(|cause| unreadable(cell, &cause))?;
            }
            self.snapshot = next;
        }
        self.cells.extend(cells.into_iter().cloned());
        Ok(())
    }

    /// Nothing, if the old snapshot cannot be brought up to date.
    fn take_in(old: &Snapshot, found: Vec<Found>) -> Result<Option<Self>> {
        let (cells, journaled) = flatten(found);
        let is_later = |cell: &Cell| cell.meta().is_ok_and(|floor: u64| floor > old.revision);
        if old.revision > 0 && cells.iter().any(|cell| cell.kind == Kind::Floor && is_later(cell)) {
            return Ok(None);
        }
        Self::made(old.clone(), cells, false, journaled).map(Some)
    }

    fn anew(found: Vec<Found>) -> Result<Self> {
        let (cells, journaled) = flatten(found);
        Self::made(Snapshot::default(), cells, true, journaled)
    }

    fn made(mut snapshot: Snapshot, cells: Vec<Cell>, forgotten: bool, journaled: usize) -> Result<Self> {
        for cell in &cells {
            snapshot.apply(cell).map_err(|cause| unreadable(cell, &cause))?;
        }
        Ok(Self { snapshot, cells, forgotten, journaled })
    }
}

/// The cells, and what the steps weigh that were not folded yet.
fn flatten(found: Vec<Found>) -> (Vec<Cell>, usize) {
    let (mut cells, mut journaled) = (Vec::with_capacity(found.len()), 0);
    for found in found {
        match found {
            Found::Cell(cell) => cells.push(cell),
            Found::Journal(steps) => {
                journaled += steps.iter().map(Step::weight).sum::<usize>();
                let of_steps = steps.into_iter().filter_map(|step| match step {
                    Step::Cell(cell) => Some(cell),
                    _ => None,
                });
                cells.extend(of_steps);
            }
        }
    }
    (cells, journaled)
}

fn unreadable(cell: &Cell, cause: &str) -> Error {
    let name = String::from_utf8_lossy(&cell.name);
    let fix = "was it written by a newer version? Delete the row, or run that version";
    let text =
        format!("config_cells has a row ({:?}, {name}) that cannot be read: {cause}; {fix}", cell.kind);
    let error = trellis_storage::Error::Decode(text);
    error!(error = chain(&error), "the configuration cannot be read");
    error.into()
}
