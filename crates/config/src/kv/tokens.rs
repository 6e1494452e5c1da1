//! How entries and sessions are written down: see [`Cell`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Entry;
use super::session::{Session, SessionId};
use crate::cells::{Cell, Kind};

/// What is known of a key: an entry, or that it was deleted, when, and how often it had been locked by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    Live(Entry),
    Gone { revision: u64, lock_index: u64 },
}

/// A key that cannot be locked for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delay {
    pub(crate) revision: u64,
    pub(crate) length: Duration,
}

#[derive(Serialize, Deserialize)]
struct EntryMeta {
    #[serde(default)]
    flags: u64,
    #[serde(default)]
    create: u64,
    #[serde(default)]
    locks: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
}

#[derive(Serialize, Deserialize)]
struct DelayMeta {
    ms: u64,
}

impl Slot {
    pub(crate) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Live(entry) => Some(entry),
            Self::Gone { .. } => None,
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        match self {
            Self::Live(entry) => entry.modify_index,
            Self::Gone { revision, .. } => *revision,
        }
    }

    pub(crate) fn lock_index(&self) -> u64 {
        match self {
            Self::Live(entry) => entry.lock_index,
            Self::Gone { lock_index, .. } => *lock_index,
        }
    }

    pub(crate) fn to_cell(&self, key: &str) -> Cell {
        let (meta, value, owner) = match self {
            Self::Live(entry) => (
                EntryMeta {
                    flags: entry.flags,
                    create: entry.create_index,
                    locks: entry.lock_index,
                    session: entry.session,
                },
                entry.value.to_vec(),
                entry.session.map(|id| id.to_string()),
            ),
            Self::Gone { lock_index, .. } => {
                (EntryMeta { flags: 0, create: 0, locks: *lock_index, session: None }, Vec::new(), None)
            }
        };
        Cell::new(Kind::Kv, key, self.revision(), self.entry().is_some(), &meta).with(value, owner)
    }

    pub(crate) fn of_cell(cell: &Cell) -> Result<(Arc<str>, Self), String> {
        let meta: EntryMeta = cell.meta()?;
        let key: Arc<str> = cell.name()?.into();
        if !cell.live {
            return Ok((key, Self::Gone { revision: cell.revision, lock_index: meta.locks }));
        }
        let entry = Entry {
            key: key.clone(),
            value: Bytes::from(cell.value.clone()),
            flags: meta.flags,
            create_index: meta.create,
            modify_index: cell.revision,
            lock_index: meta.locks,
            session: meta.session,
        };
        Ok((key, Self::Live(entry)))
    }
}

impl Session {
    pub(crate) fn to_cell(&self) -> Cell {
        Cell::new(Kind::Session, &self.id.to_string(), self.modify_index, true, self)
    }

    pub(crate) fn gone(id: SessionId, revision: u64) -> Cell {
        Cell::new(Kind::Session, &id.to_string(), revision, false, &())
    }

    pub(crate) fn of_cell(cell: &Cell) -> Result<(SessionId, Option<Self>), String> {
        let id = cell.name()?.parse().map_err(|error: uuid::Error| error.to_string())?;
        Ok((id, if cell.live { Some(cell.meta()?) } else { None }))
    }
}

impl Delay {
    pub(crate) fn to_cell(this: Option<&Self>, key: &str, revision: u64) -> Cell {
        match this {
            Some(delay) => {
                let ms = u64::try_from(delay.length.as_millis()).unwrap_or(u64::MAX);
                Cell::new(Kind::Delay, key, revision, true, &DelayMeta { ms })
            }
            None => Cell::new(Kind::Delay, key, revision, false, &()),
        }
    }

    pub(crate) fn of_cell(cell: &Cell) -> Result<(Arc<str>, Option<Self>), String> {
        let key = cell.name()?.into();
        if !cell.live {
            return Ok((key, None));
        }
        let DelayMeta { ms } = cell.meta()?;
        Ok((key, Some(Self { revision: cell.revision, length: Duration::from_millis(ms) })))
    }
}
