//! The draft against a naive model: the same operations, the same answers, the same state.

mod ending;
mod model;

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::draft::Draft;
use super::ops::TxnOp;
use super::session::{Behavior, NewSession, Session, SessionId};
use model::Model;

fn key(n: u8) -> Arc<str> {
    ["a", "a/b", "a/c", "b"][usize::from(n % 4)].into()
}

fn session(n: u8) -> SessionId {
    SessionId::from_u128(u128::from(n % 3) + 1)
}

/// A step of a story: a transaction, or a session that begins or ends.
#[derive(Debug, Clone)]
enum Step {
    Txn(Vec<TxnOp>),
    Begin {
        id: SessionId,
        behavior: Behavior,
        delay: bool,
    },
    End(SessionId),
    /// All lock delays are over.
    Later,
}

fn ops() -> impl Strategy<Value = TxnOp> {
    (0..13_u8, any::<u8>(), 0..3_u8, 0..3_u8, 0..12_u64).prop_map(|(kind, k, v, s, index)| {
        let (key, session, flags) = (key(k), session(s), u64::from(v % 2));
        let value = Bytes::from(vec![v]);
        let prefix: Arc<str> = ["", "a", "a/"][usize::from(k % 3)].into();
        match kind {
            0 => TxnOp::Set { key, value, flags },
            1 => TxnOp::Cas { key, value, flags, index },
            2 | 3 => TxnOp::Lock { key, value, flags, session },
            4 => TxnOp::Unlock { key, value, flags, session },
            5 => TxnOp::Get { key },
            6 => TxnOp::GetOrEmpty { key },
            7 => TxnOp::GetTree { prefix },
            8 => TxnOp::CheckIndex { key, index },
            9 => TxnOp::CheckSession { key, session },
            10 => TxnOp::CheckNotExists { key },
            11 => TxnOp::Delete { key },
            _ if v == 0 => TxnOp::DeleteTree { prefix },
            _ => TxnOp::DeleteCas { key, index },
        }
    })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(ops(), 1..4).prop_map(Step::Txn),
        2 => (0..3_u8, any::<bool>(), any::<bool>()).prop_map(|(n, delete, delay)| Step::Begin {
            id: session(n),
            behavior: if delete { Behavior::Delete } else { Behavior::Release },
            delay,
        }),
        1 => (0..3_u8).prop_map(|n| Step::End(session(n))),
        1 => Just(Step::Later),
    ]
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(story in prop::collection::vec(steps(), 1..40)) {
        let mut draft = Draft::default();
        let mut model = Model::default();
        for (step, index) in story.into_iter().zip(1..) {
            draft = draft.clone_at(index);
            let before = draft.clone();
            match step {
                Step::Txn(ops) => {
                    let ours = draft.run(&ops);
                    let theirs = model.txn(&ops, index);
                    prop_assert_eq!(&ours.as_ref().map(|done| &done.results).map_err(Vec::len),
                        &theirs.as_ref().map_err(|e| *e));
                    if ours.is_err() {
                        draft = before;
                    }
                }
                Step::Begin { id, behavior, delay } => {
                    if let std::collections::btree_map::Entry::Vacant(place) = model.sessions.entry(id) {
                        let mut new = NewSession::of_node("n");
                        new.behavior = behavior;
                        if !delay {
                            new.lock_delay = std::time::Duration::ZERO;
                        }
                        draft.begin(Session::new(id, new, index, "here"));
                        place.insert((behavior, delay));
                    }
                }
                Step::End(id) => prop_assert_eq!(draft.end(id), model.end(id, index)),
                Step::Later => {
                    draft.delays.values_mut().for_each(|runs| *runs = false);
                    model.delayed.clear();
                }
            }
            let there: Vec<_> = draft.slots.values().filter_map(|slot| slot.entry().cloned()).collect();
            let wanted: Vec<_> = model.entries.values().cloned().collect();
            prop_assert_eq!(there, wanted);
        }
    }

    /// What is written down is what is read back.
    #[test]
    fn cells_come_back_as_they_went(ops in prop::collection::vec(ops(), 1..20)) {
        let mut draft = Draft::at(7);
        draft.begin(Session::new(session(0), NewSession::of_node("n"), 7, "here"));
        for op in ops {
            let before = draft.clone();
            if draft.run(&[op]).is_err() {
                draft = before;
            }
        }
        draft.end(session(0));
        for cell in draft.steps().iter().filter_map(crate::journal::Step::cell) {
            if cell.kind == crate::cells::Kind::Kv {
                let (key, slot) = super::tokens::Slot::of_cell(cell).unwrap();
                prop_assert_eq!(&slot, &draft.slots[&key]);
            }
        }
    }
}

#[test]
fn a_token_is_never_given_twice_even_over_a_deletion() {
    let mut draft = Draft::at(1);
    for n in 0..2 {
        draft.begin(Session::new(session(n), NewSession::of_node("n"), 1, "here"));
    }
    let lock = |n| TxnOp::Lock { key: key(0), value: Bytes::new(), flags: 0, session: session(n) };
    let token = |draft: &mut Draft, n| draft.run(&[lock(n)]).map(|done| done.results[0][0].lock_index).ok();
    assert_eq!(token(&mut draft, 0), Some(1));
    assert_eq!(token(&mut draft, 0), Some(1), "the same hold");
    assert_eq!(token(&mut draft, 1), None, "held");
    draft.run(&[TxnOp::Delete { key: key(0) }]).unwrap();
    assert_eq!(token(&mut draft, 1), Some(2));
}
