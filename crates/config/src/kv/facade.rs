//! What others do with keys and sessions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;

use super::draft::Draft;
use super::ops::{Refused, TxnOp};
use super::session::{Cause, NewSession, Session, SessionId};
use super::{Entry, MAX_KEY, Put, Read, Topic, TxnDone, sessions, txn};
use crate::adoption;
use crate::cells::Kind;
use crate::changes::Outcome;
use crate::error::{Error, Result};
use crate::handle::Handle;

/// An id that nobody can guess.
pub(crate) fn random_id() -> Result<SessionId> {
    let mut bytes = [0; 16];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Error::Conflict("the system has no random numbers to give".into()))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// Keys, locks and sessions. Reads are answered from memory; what a write returned is seen by every later read here.
impl Handle {
    /// One key. The index is that of the key: its last change, or its deletion.
    pub fn kv_get(&self, key: &str) -> Read<Option<Entry>> {
        let snapshot = self.engine().snapshot();
        Read { value: snapshot.entry(key).cloned(), index: snapshot.key_index(key) }
    }

    /// All keys that begin so, in the order of their bytes. The index is the larger one of what is there and what was
    /// deleted.
    pub fn kv_list(&self, prefix: &str) -> Read<Vec<Entry>> {
        let snapshot = self.engine().snapshot();
        let value = snapshot.slots_under(prefix).filter_map(|(_, slot)| slot.entry().cloned()).collect();
        Read { value, index: snapshot.prefix_index(prefix) }
    }

    /// The names of all keys that begin so; with a separator each only up to the first one after the prefix, and each
    /// of those once.
    pub fn kv_keys(&self, prefix: &str, separator: Option<&str>) -> Read<Vec<Arc<str>>> {
        let snapshot = self.engine().snapshot();
        let mut value: Vec<Arc<str>> = Vec::new();
        for (key, slot) in snapshot.slots_under(prefix) {
            if slot.entry().is_none() {
                continue;
            }
            let rest = &key[prefix.len()..];
            let cut = separator.filter(|s| !s.is_empty()).and_then(|s| Some(rest.find(s)? + s.len()));
            let name = cut.map_or_else(|| key.clone(), |cut| key[..prefix.len() + cut].into());
            if value.last() != Some(&name) {
                value.push(name);
            }
        }
        Read { value, index: snapshot.prefix_index(prefix) }
    }

    /// Writes a key. False if it was not: the compare-and-set does not match, the lock is held by another session, was
    /// lost a short while ago, or is not held by the one that releases it. `release` goes before `acquire`, and that
    /// before `cas`. An unknown session is an error whose text begins with `invalid session`.
    pub async fn kv_put(&self, key: &str, put: Put) -> Result<bool> {
        let Put { value, flags, cas, acquire, release } = put;
        let key: Arc<str> = key.into();
        let op = match (release, acquire, cas) {
            (Some(session), _, _) => TxnOp::Unlock { key, value, flags, session },
            (None, Some(session), _) => TxnOp::Lock { key, value, flags, session },
            (None, None, Some(index)) => TxnOp::Cas { key, value, flags, index },
            (None, None, None) => TxnOp::Set { key, value, flags },
        };
        self.kv_one(op).await
    }

    /// Removes a key; with `cas` only if it was changed last by this revision. True also if there is none.
    pub async fn kv_delete(&self, key: &str, cas: Option<u64>) -> Result<bool> {
        let key: Arc<str> = key.into();
        match cas {
            Some(index) => self.kv_one(TxnOp::DeleteCas { key, index }).await,
            None => self.kv_one(TxnOp::Delete { key }).await,
        }
    }

    /// Removes all keys that begin so.
    pub async fn kv_delete_tree(&self, prefix: &str) -> Result<()> {
        self.kv_one(TxnOp::DeleteTree { prefix: prefix.into() }).await.map(drop)
    }

    /// Applies all operations or none. On [`Error::Txn`] nothing was changed, and each operation that did not apply is
    /// named.
    pub async fn kv_txn(&self, ops: Vec<TxnOp>) -> Result<TxnDone> {
        txn::run(self.engine(), ops).await
    }

    /// The index of a topic now; at least 1.
    pub fn kv_index(&self, topic: &Topic) -> u64 {
        let snapshot = self.engine().snapshot();
        match topic {
            Topic::Key(key) => snapshot.key_index(key),
            Topic::Prefix(prefix) => snapshot.prefix_index(prefix),
            Topic::Sessions => snapshot.sessions_index(),
        }
    }

    /// The index of a topic as soon as it is another than `after`, or when `wait` has passed (at most
    /// `Options::max_wait`). Read anew after it; a return does not imply a change.
    pub async fn watch_topic(&self, topic: &Topic, after: u64, wait: Duration) -> Result<u64> {
        let (kind, name, is_prefix) = match topic {
            Topic::Key(key) if key.len() > MAX_KEY => {
                return Err(Error::invalid("", format!("a key has at most {MAX_KEY} bytes")));
            }
            Topic::Key(key) => (Kind::Kv, &**key, false),
            Topic::Prefix(prefix) => (Kind::Kv, &**prefix, true),
            Topic::Sessions => (Kind::Session, "", true),
        };
        self.wait_for(kind, name, is_prefix, wait, || {
            let index = self.kv_index(topic);
            (index != after).then_some(index)
        })
        .await
        .map(|found| found.unwrap_or_else(|| self.kv_index(topic)))
    }

    /// Begins a session. Whoever knows nodes and checks has looked whether they are there and pass.
    pub async fn session_create(&self, new: NewSession) -> Result<Session> {
        new.check()?;
        let engine = self.engine();
        let limit = engine.options.max_sessions;
        if engine.snapshot().sessions.len() >= limit {
            let text = format!("{limit} sessions are kept and no more fit; raise [config] max_sessions");
            return Err(Error::Full(text));
        }
        let id = random_id()?;
        let holder = engine.node.to_string();
        let done = engine.change(move |_, index| {
            let session = Session::new(id, new, index, &holder);
            let mut draft = Draft::at(index);
            draft.begin(session.clone());
            Ok(Outcome { value: session, steps: draft.steps() })
        });
        Ok(done.await?.0)
    }

    /// Starts a session's time again, if it has one; `None` if there is no such session. In memory, unless another node
    /// counts its time, or may by now, or may have ended it: a node that is cut off from the database refuses.
    pub async fn session_renew(&self, id: SessionId) -> Result<Option<Session>> {
        let engine = self.engine();
        let known = || engine.snapshot().sessions.get(&id).map(|session| (**session).clone());
        let mut found = known();
        if found.is_none() && engine.members.is_some() {
            // Another node may have begun it a moment ago.
            self.sync().await?;
            found = known();
        }
        let Some(session) = found else { return Ok(None) };
        // One without a time to live may have been ended by others while this node was cut off.
        let is_there = || session.ttl().is_none() || engine.deadlines().renew(id, Instant::now());
        if adoption::is_alone(engine) && is_there() {
            return Ok(Some(session));
        }
        // The database knows whether it is still there, and who counts its time.
        sessions::adopt(engine, id).await
    }

    /// Ends a session: what it holds is released or deleted, and cannot be locked for its lock delay. True also if
    /// there is none.
    pub async fn session_destroy(&self, id: SessionId) -> Result<bool> {
        sessions::end(self.engine(), id).await.map(|_| true)
    }

    /// One session.
    pub fn session_info(&self, id: SessionId) -> Read<Option<Session>> {
        let snapshot = self.engine().snapshot();
        let value = snapshot.sessions.get(&id).map(|session| (**session).clone());
        Read { value, index: snapshot.sessions_index() }
    }

    /// All sessions, or those of one node.
    pub fn session_list(&self, node: Option<&str>) -> Read<Vec<Session>> {
        let snapshot = self.engine().snapshot();
        let of_node = snapshot.sessions.values().filter(|s| node.is_none_or(|node| s.node == node));
        let value = of_node.map(|session| (**session).clone()).collect();
        Read { value, index: snapshot.sessions_index() }
    }

    /// Ends all sessions that depend on what has gone away: how many there were.
    pub async fn invalidate_sessions_of(&self, cause: &Cause) -> Result<usize> {
        let snapshot = self.engine().snapshot();
        let ids: BTreeSet<SessionId> =
            snapshot.sessions.values().filter(|s| s.depends_on(cause)).map(|s| s.id).collect();
        let mut ended = 0;
        for id in ids {
            ended += usize::from(sessions::end(self.engine(), id).await?);
        }
        Ok(ended)
    }

    async fn kv_one(&self, op: TxnOp) -> Result<bool> {
        match txn::run(self.engine(), vec![op]).await {
            Ok(_) => Ok(true),
            Err(Error::Txn(mut errors)) => match errors.pop().map(|error| error.refused) {
                Some(refused @ Refused::NoSession(_)) => Err(Error::Refused(refused)),
                _ => Ok(false),
            },
            Err(error) => Err(error),
        }
    }
}
