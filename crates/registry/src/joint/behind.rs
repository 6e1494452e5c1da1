//! What is written after the fact: statuses that changed by themselves, and what the platform runs here.

use tokio::time::Instant;
use tracing::warn;
use trellis_core::error::chain;

use super::lines::{line, nodes_of, stand};
use super::{Joint, TICK};
use crate::orders::rows_of;
use crate::rows::{self, Halt, Line, Named};
use crate::state::State;
use crate::table::Row;
use crate::writer::MAX_BATCH;

impl Joint {
    /// Brings rows in line with what changed here by itself.
    pub(super) async fn write_changed(&mut self) {
        while self.members.is_live() && self.shared.read(State::has_dirty) {
            let epoch = self.members.epoch();
            let (dirty, lines) = self.shared.make(|state| {
                let mut dirty = state.take_dirty(MAX_BATCH);
                dirty.retain(|what| state.is_to_be_written(what));
                let rows = rows_of(&dirty, state).unwrap_or_default();
                let lines: Vec<Line> = rows.into_iter().map(|row| line(row, true, state)).collect();
                let is_there = |line: &Line| match line.row {
                    Row::NoInstance(_) => line.base > 0,
                    Row::NoNode(_) => false,
                    _ => true,
                };
                (dirty, lines.into_iter().filter(is_there).collect::<Vec<_>>())
            });
            if lines.is_empty() {
                continue;
            }
            let fence = Some((self.members.node_id().clone(), epoch));
            match rows::write(&self.store, lines.clone(), fence).await {
                Ok(revisions) => {
                    self.shared.make(|state| {
                        let now = self.shared.now();
                        for (line, revision) in lines.iter().zip(&revisions) {
                            stand(line, *revision, state, now);
                        }
                        for what in &dirty {
                            state.has_taken_over(what);
                        }
                    });
                    self.own.extend(revisions);
                }
                Err(halt) => {
                    self.shared.make(|state| state.put_dirty(dirty));
                    match halt {
                        Halt::Moved => {
                            self.doubtful.extend(lines.iter().map(|line| Named::of_row(&line.row)));
                            self.doubtful.extend(nodes_of(&lines));
                            self.catch_up().await;
                        }
                        Halt::Store(error) => {
                            warn!(error = %chain(&error), "changed statuses could not be written down; tried again");
                        }
                    }
                    self.write_after = Instant::now() + TICK;
                    return;
                }
            }
        }
    }

    /// What the platform runs here ends with it.
    pub(super) async fn leave(&mut self) {
        self.write_changed().await;
        let lines = self.shared.make(|state| {
            let own = state.own_managed().into_iter();
            let lines = own.map(|key| line(Row::NoInstance(key), false, state));
            lines.filter(|line| line.base > 0).collect::<Vec<_>>()
        });
        for lines in lines.chunks(MAX_BATCH) {
            match rows::write(&self.store, lines.to_vec(), None).await {
                Ok(_) | Err(Halt::Moved) => {}
                Err(Halt::Store(error)) => {
                    warn!(error = %chain(&error), "others remove what ran here");
                    return;
                }
            }
        }
    }
}
