//! What is asked of the registry that has to be on disk before it is answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;
use trellis_core::Status;

use crate::error::{Error, Result};
use crate::model::check::CheckDefinition;
use crate::model::names::{CheckKey, CheckOwner, InstanceKey, Name};
use crate::model::node::NodeRegistration;
use crate::registration::{Lease, Registration};
use crate::state::{About, Asker, Changed, Dirty, Now, Override, SavedInstance, SavedNode, State};
use crate::table::{Row, body};

/// One change that is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    Register(Box<Registration>),
    Remove(InstanceKey),
    PutNode(NodeRegistration),
    RemoveNode(Name),
    Maintain(InstanceKey, Option<Arc<str>>),
    MaintainNode(Name, Option<Arc<str>>),
    PutCheck(CheckOwner, Box<CheckDefinition>),
    RemoveCheck(CheckKey),
    Override(About, Option<Status>),
    /// A client that another member looked after comes here now.
    TakeOver(InstanceKey),
    /// The holder of something is gone, and it is this member's by the list of this number.
    Adopt(Dirty, Arc<str>, u64),
    /// A lease has ended, in the eyes of a member of the list of this number.
    End(InstanceKey, u64),
    /// An instance is to go, by the list of this number.
    Purge(InstanceKey, Why, u64),
}

/// Why a member removes an instance by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was expired for long enough.
    Over,
    /// One of its checks was critical for too long.
    Doomed,
    /// The member that ran it is gone.
    Orphan(Arc<str>),
}

/// An order, and where the answer goes.
pub(crate) struct Request {
    pub(crate) order: Order,
    pub(crate) done: oneshot::Sender<Result<()>>,
}

/// Orders that share a commit. No two of them are about the same thing, so that each can be judged by what holds before
/// all of them.
#[derive(Default)]
pub(crate) struct Batch {
    touched: BTreeSet<Dirty>,
    /// It is about more than one instance, so it goes alone.
    alone: bool,
    /// The list of members that all of them were decided on; none if that does not matter.
    fence: Option<u64>,
}

impl Batch {
    /// Takes an order in, unless it has to wait for the next commit.
    pub(crate) fn takes(&mut self, order: &Order, state: &State) -> bool {
        let is_first = self.touched.is_empty() && !self.alone;
        if is_first {
            self.fence = order.fence();
        } else if self.fence != order.fence() {
            return false;
        }
        let one = match order {
            Order::TakeOver(key)
            | Order::End(key, _)
            | Order::Purge(key, ..)
            | Order::Adopt(Dirty::Instance(key), ..) => Some(key.clone()),
            Order::Register(registration) => Some(state.key_of(registration)),
            Order::Remove(key) | Order::Maintain(key, _) | Order::PutCheck(CheckOwner::Instance(key), _) => {
                Some(key.clone())
            }
            Order::RemoveCheck(key) => match &key.owner {
                CheckOwner::Instance(key) => Some(key.clone()),
                CheckOwner::Node(_) => None,
            },
            _ => None,
        };
        if let Some(key) = one {
            return !self.alone && self.touched.insert(Dirty::Instance(key));
        }
        self.alone = true;
        is_first
    }

    /// How many are in it.
    pub(crate) fn len(&self) -> usize {
        self.touched.len()
    }

    /// The list of members that they were decided on.
    pub(crate) fn fence(&self) -> Option<u64> {
        self.fence
    }
}

impl Order {
    /// Whether it may be, and the rows that it changes. `ahead` others are before it.
    pub(crate) fn plan(&self, state: &mut State, ahead: usize, now: Now) -> Result<Vec<Row>> {
        let rows = match self {
            Self::Register(registration) => {
                state.may_register(registration, ahead)?;
                let held = state.holds_instance(&state.key_of(registration));
                if registration.lease == Lease::Managed || (held && state.is_repetition(registration)) {
                    return Ok(Vec::new());
                }
                let saved = state.plan(registration, now);
                vec![Row::Instance(state.key_of(registration), written(&saved)?)]
            }
            Self::Remove(key) => {
                state.may_remove(key, Asker::Outside)?;
                vec![Row::NoInstance(key.clone())]
            }
            Self::PutNode(node) => {
                state.may_put_node(&node.name, &node.address, ahead)?;
                let known = state.save_node(&node.name);
                let registration = node.clone();
                let saved = match known {
                    Some(known) if known.registration == *node => return Ok(Vec::new()),
                    Some(known) => SavedNode { registration, ..known },
                    None => {
                        SavedNode { registration, more: Vec::new(), maintenance: None, checks: Vec::new() }
                    }
                };
                vec![Row::Node(node.name.clone(), written(&saved)?)]
            }
            Self::RemoveNode(name) => {
                state.may_remove_node(name)?;
                vec![Row::NoNode(name.clone())]
            }
            Self::Maintain(key, reason) => {
                if state.record(key).is_none() {
                    return Err(state.unknown(key));
                }
                let saved = state.save(key);
                let saved = saved.filter(|saved| saved.maintenance != *reason);
                let with = |mut saved: crate::state::SavedInstance| {
                    saved.maintenance.clone_from(reason);
                    written(&saved)
                };
                let text = saved.map(with).transpose()?;
                text.map(|text| Row::Instance(key.clone(), text)).into_iter().collect()
            }
            Self::MaintainNode(name, reason) => {
                let known = state.save_node(name).ok_or_else(|| Error::UnknownNode(name.clone()))?;
                let saved = SavedNode { maintenance: reason.clone(), ..known };
                vec![Row::Node(name.clone(), written(&saved)?)]
            }
            Self::PutCheck(owner, check) => {
                state.may_put_check(owner, check)?;
                owner_row(state, owner, |more, own| {
                    more.retain(|other| other.id != check.id);
                    own.retain(|other| other.id != check.id);
                    more.push(CheckDefinition::clone(check));
                })?
            }
            Self::RemoveCheck(key) => {
                state.may_touch(key)?;
                if state.check(key).is_none() {
                    return Err(Error::UnknownCheck(key.clone()));
                }
                owner_row(state, &key.owner, |more, own| {
                    more.retain(|other| other.id != key.id);
                    own.retain(|other| other.id != key.id);
                })?
            }
            Self::Override(about, status) => {
                if status.is_some() {
                    state.may_override(about, ahead)?;
                }
                // Also when memory says so already: the disk may say something else after a write that failed.
                vec![Row::Override(about.clone(), said(*status, now))]
            }
            Self::TakeOver(key) => {
                let saved = state.save(key).ok_or_else(|| state.unknown(key))?;
                vec![Row::Instance(key.clone(), written(&SavedInstance { expired: false, ..saved })?)]
            }
            Self::Adopt(what, from, _) => {
                if state.standing(what).holder != *from {
                    return Ok(Vec::new());
                }
                rows_of(std::slice::from_ref(what), state)?
            }
            Self::End(key, _) => match state.save(key) {
                Some(saved) if state.is_over(key, now) => {
                    vec![Row::Instance(key.clone(), written(&SavedInstance { expired: true, ..saved })?)]
                }
                _ => return Err(state.unknown(key)),
            },
            Self::Purge(key, why, _) => {
                let still = match why {
                    Why::Over => state.is_over(key, now),
                    Why::Doomed => state.holds_instance(key) && state.record(key).is_some(),
                    Why::Orphan(from) => state.standing(&Dirty::Instance(key.clone())).holder == *from,
                };
                if !still {
                    return Err(state.unknown(key));
                }
                vec![Row::NoInstance(key.clone())]
            }
        };
        Ok(rows)
    }

    /// The list of members that it was decided on, if that matters.
    pub(crate) fn fence(&self) -> Option<u64> {
        match self {
            Self::Adopt(.., epoch) | Self::End(_, epoch) | Self::Purge(.., epoch) => Some(*epoch),
            _ => None,
        }
    }

    /// The same for a file that nobody shares. What memory says already is written once more if the file may say something
    /// else, since a write failed and nobody knows how.
    pub(crate) fn rows(&self, state: &mut State, ahead: usize, now: Now) -> Result<Vec<Row>> {
        let rows = self.plan(state, ahead, now)?;
        if !rows.is_empty() {
            return Ok(rows);
        }
        match self.doubtful(state) {
            Some(what) if state.is_dirty(&what) => rows_of(&[what], state),
            _ => Ok(rows),
        }
    }

    /// Whether the member that writes it looks after what it is about from then on.
    pub(crate) fn takes_over(&self) -> bool {
        matches!(self, Self::Register(_) | Self::PutNode(_) | Self::TakeOver(_) | Self::Adopt(..))
    }

    /// Does it, now that it is written down.
    pub(crate) fn apply(self, state: &mut State, now: Now) -> Result<Changed> {
        match self {
            Self::Register(registration) => {
                let durable = registration.lease != Lease::Managed;
                state.register(&registration, durable, now)
            }
            Self::Remove(key) => state.deregister(&key, Asker::Outside, now),
            Self::PutNode(node) => state.put_node(node, now),
            Self::RemoveNode(name) => state.remove_node(&name, now),
            Self::Maintain(key, reason) => state.maintain(&key, reason, now),
            Self::MaintainNode(name, reason) => state.maintain_node(&name, reason, now),
            Self::PutCheck(owner, check) => state.put_check(&owner, *check, now),
            Self::RemoveCheck(key) => state.remove_check(&key, now),
            Self::Override(about, status) => {
                let current = state.overrides().get(&about).map(|said| said.status);
                if current == status {
                    return Ok(Changed::default());
                }
                Ok(state.set_override(about, said(status, now), now))
            }
            Self::TakeOver(key) => state.renew(&key, now),
            // Its time begins when it is said whose it is.
            Self::Adopt(..) => Ok(Changed::default()),
            Self::End(key, _) => Ok(state.end_written(&key, now)),
            Self::Purge(key, why, _) => {
                let over = why != Why::Over || state.is_over(&key, now);
                Ok(state.purge_written(&key, over, now))
            }
        }
    }

    /// What may differ from its row when nobody knows whether it was written.
    pub(crate) fn doubtful(&self, state: &State) -> Option<Dirty> {
        match self {
            Self::Register(registration) => Some(Dirty::Instance(state.key_of(registration))),
            Self::Remove(key) | Self::Maintain(key, _) => Some(Dirty::Instance(key.clone())),
            Self::PutNode(node) => Some(Dirty::Node(node.name.clone())),
            Self::RemoveNode(name) | Self::MaintainNode(name, _) => Some(Dirty::Node(name.clone())),
            Self::PutCheck(owner, _) => Some(dirty(owner)),
            Self::RemoveCheck(key) => Some(dirty(&key.owner)),
            Self::TakeOver(key) | Self::End(key, _) | Self::Purge(key, ..) => {
                Some(Dirty::Instance(key.clone()))
            }
            Self::Adopt(what, ..) => Some(what.clone()),
            // The operator is told to say it again.
            Self::Override(..) => None,
        }
    }
}

/// The rows that bring what differs in line with memory.
pub(crate) fn rows_of(dirty: &[Dirty], state: &State) -> Result<Vec<Row>> {
    let row = |one: &Dirty| match one {
        Dirty::Instance(key) => Ok(match state.save(key) {
            Some(saved) => Row::Instance(key.clone(), written(&saved)?),
            None => Row::NoInstance(key.clone()),
        }),
        Dirty::Node(name) => Ok(match state.save_node(name) {
            Some(saved) => Row::Node(name.clone(), written(&saved)?),
            None => Row::NoNode(name.clone()),
        }),
    };
    dirty.iter().map(row).collect()
}

fn dirty(owner: &CheckOwner) -> Dirty {
    match owner {
        CheckOwner::Node(name) => Dirty::Node(name.clone()),
        CheckOwner::Instance(key) => Dirty::Instance(key.clone()),
    }
}

/// The row of an owner after a change of its checks; none if the platform makes the owner anew at each start.
fn owner_row(
    state: &State,
    owner: &CheckOwner,
    change: impl FnOnce(&mut Vec<CheckDefinition>, &mut Vec<CheckDefinition>),
) -> Result<Vec<Row>> {
    match owner {
        CheckOwner::Node(name) => {
            let mut saved = state.save_node(name).ok_or_else(|| Error::UnknownNode(name.clone()))?;
            change(&mut saved.more, &mut Vec::new());
            Ok(vec![Row::Node(name.clone(), written(&saved)?)])
        }
        CheckOwner::Instance(key) => {
            let Some(mut saved) = state.save(key) else { return Ok(Vec::new()) };
            change(&mut saved.more, &mut saved.registration.checks);
            Ok(vec![Row::Instance(key.clone(), written(&saved)?)])
        }
    }
}

pub(crate) fn written(value: &impl serde::Serialize) -> Result<String> {
    body(value).map_err(Error::Store)
}

fn said(status: Option<Status>, now: Now) -> Option<Override> {
    status.map(|status| Override { status, since_unix_ms: now.unix_ms })
}
