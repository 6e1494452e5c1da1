//! Memory and the rows of its file: whatever becomes of writes, they come to the same, and nothing acknowledged is lost.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::record::Record;
use super::*;
use crate::file::FileWrite;
use crate::orders::{Order, rows_of};
use crate::state::SavedInstance;
use crate::table::FileRows;

#[derive(Debug, Clone, Copy)]
enum Fate {
    Done,
    /// Nothing of it was written.
    Failed,
    /// It was written, and whoever wrote it is told that it may not have been.
    Doubtful,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Register {
        id: u8,
        port: u16,
        fate: Fate,
    },
    Remove {
        id: u8,
        fate: Fate,
    },
    /// The platform begins to run it itself.
    TakeOver {
        id: u8,
    },
    /// It goes without a word of the writer's.
    Lose {
        id: u8,
    },
    Flush {
        fate: Fate,
    },
    /// kill -9, and a start from what is there.
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = || prop_oneof![4 => Just(Fate::Done), 1 => Just(Fate::Failed), 1 => Just(Fate::Doubtful)];
    let id = || 0..4_u8;
    proptest::collection::vec(
        prop_oneof![
            4 => (id(), 1..3_u16, fate()).prop_map(|(id, port, fate)| Step::Register { id, port, fate }),
            2 => (id(), fate()).prop_map(|(id, fate)| Step::Remove { id, fate }),
            1 => id().prop_map(|id| Step::TakeOver { id }),
            1 => id().prop_map(|id| Step::Lose { id }),
            1 => fate().prop_map(|fate| Step::Flush { fate }),
            1 => Just(Step::Kill),
        ],
        0..40,
    )
}

fn name_of(number: u8) -> String {
    format!("a-{number}")
}

/// What the writer does, with a file that is a map.
struct Run {
    state: State,
    file: BTreeMap<u64, String>,
    clock: Clock,
    /// Who was told that an instance is registered, at which port, or that it is none. What is in doubt is not here.
    told: BTreeMap<u8, Option<u16>>,
}

impl Run {
    fn new() -> Self {
        Self { state: state(), file: BTreeMap::new(), clock: Clock::new(), told: BTreeMap::new() }
    }

    fn write(&mut self, rows: FileRows, fate: Fate) -> bool {
        if rows.is_empty() {
            return true;
        }
        if !matches!(fate, Fate::Failed) {
            for place in rows.empty {
                self.file.remove(&place);
            }
            for (place, _, body) in rows.put {
                self.file.insert(place, body);
            }
        }
        matches!(fate, Fate::Done)
    }

    /// One order in a commit of its own; whether it was acknowledged.
    fn order(&mut self, order: Order, fate: Fate) -> Option<bool> {
        let mut write = FileWrite::default();
        let rows = order.rows(&mut self.state, 0, self.clock.0).ok()?;
        write.add(rows, &mut self.state);
        if !write.rows.is_empty() {
            write.sweep(&mut self.state);
        }
        let rows = std::mem::take(&mut write.rows);
        if !self.write(rows, fate) {
            let doubtful = order.doubtful(&self.state);
            self.state.put_dirty(doubtful.into_iter().collect());
            write.not_written(&mut self.state);
            return Some(false);
        }
        write.removed(&mut self.state);
        order.apply(&mut self.state, self.clock.0).unwrap();
        write.placed(&mut self.state);
        Some(true)
    }

    fn flush(&mut self, fate: Fate) {
        let mut write = FileWrite::default();
        let dirty = self.state.take_dirty(usize::MAX);
        let rows = rows_of(&dirty, &self.state).unwrap();
        write.add(rows, &mut self.state);
        write.sweep(&mut self.state);
        let rows = std::mem::take(&mut write.rows);
        if self.write(rows, fate) {
            write.removed(&mut self.state);
            write.placed(&mut self.state);
        } else {
            self.state.put_dirty(dirty);
            write.not_written(&mut self.state);
        }
    }

    fn start_again(&mut self) {
        self.state = state();
        for (place, body) in &self.file {
            let saved: SavedInstance = serde_json::from_str(body).unwrap();
            let key = self.state.key_of(&saved.registration);
            self.state.restore(saved, self.clock.0).unwrap();
            self.state.put_at(&key, *place);
        }
    }

    /// The file has each durable instance once, as memory has it, and nothing else.
    fn is_settled(&self) {
        let of_memory: BTreeSet<String> = (0..4)
            .filter_map(|number| self.state.save(&key(&name_of(number))))
            .map(|saved| serde_json::to_string(&saved).unwrap())
            .collect();
        assert_eq!(self.file.len(), of_memory.len());
        assert_eq!(self.file.values().cloned().collect::<BTreeSet<_>>(), of_memory);
    }

    fn holds_what_was_told(&self) {
        for (number, port) in &self.told {
            let found = self.state.record(&key(&name_of(*number))).map(|record| record.view.definition.port);
            assert_eq!(found, *port, "instance {number}");
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Register { id: number, port, fate } => {
                let registration = Registration { port, ..instance(&name_of(number), "a") };
                let managed = self.state.record(&key(&name_of(number))).is_some_and(Record::is_managed);
                match self.order(Order::Register(Box::new(registration)), fate) {
                    Some(true) => drop(self.told.insert(number, Some(port))),
                    Some(false) => drop(self.told.remove(&number)),
                    None => assert!(managed),
                }
            }
            Step::Remove { id: number, fate } => match self.order(Order::Remove(key(&name_of(number))), fate)
            {
                Some(true) => drop(self.told.insert(number, None)),
                Some(false) => drop(self.told.remove(&number)),
                None => {}
            },
            Step::TakeOver { id: number } => {
                let registration = Registration { lease: Lease::Managed, ..instance(&name_of(number), "a") };
                self.state.register(&registration, false, self.clock.0).unwrap();
                self.told.remove(&number);
            }
            Step::Lose { id: number } => {
                if self.state.drop_as(&name_of(number), Asker::Platform).is_ok() {
                    self.told.remove(&number);
                }
            }
            Step::Flush { fate } => self.flush(fate),
            Step::Kill => {
                self.start_again();
                self.holds_what_was_told();
            }
        }
    }
}

proptest! {
    #[test]
    fn rows_and_memory_come_to_the_same(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            run.take(step);
            run.holds_what_was_told();
        }
        run.flush(Fate::Done);
        run.is_settled();
        assert!(!run.state.has_unwritten());
        run.start_again();
        assert!(!run.state.has_unwritten(), "there is nothing to mend");
        run.is_settled();
        run.holds_what_was_told();
    }
}

#[test]
fn a_registration_that_was_in_doubt_leaves_no_second_row() {
    let mut run = Run::new();
    let register = |port| Order::Register(Box::new(Registration { port, ..instance("a-1", "a") }));
    assert_eq!(run.order(register(1), Fate::Doubtful), Some(false));
    assert_eq!(run.file.len(), 1, "it was written all the same");
    assert_eq!(run.order(register(2), Fate::Done), Some(true));
    assert_eq!(run.file.len(), 1, "emptied with the next write");
    run.start_again();
    assert_eq!(run.state.record(&key("a-1")).unwrap().view.definition.port, 2);
}
