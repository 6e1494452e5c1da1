//! Who is woken by a change: one broadcast for each key or prefix that somebody waits for.
//!
//! A broadcast carries nothing but the last revision, so nobody can fall behind: whoever wakes late looks at what is
//! current, and there is no queue to overflow.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::cells::Kind;

/// So many channels may lie unused before they are looked through.
const FEW: usize = 64;

type Name = (Kind, bool, Arc<str>);

#[derive(Default)]
pub(crate) struct Topics(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    senders: HashMap<Name, watch::Sender<u64>>,
    /// How many prefixes of each length are waited for.
    lengths: BTreeMap<usize, usize>,
    sweep_at: usize,
}

impl Topics {
    /// Follows one name, or all that begin so. The number is that of the last change that was told to anybody.
    pub(crate) fn subscribe(&self, kind: Kind, name: &str, is_prefix: bool) -> watch::Receiver<u64> {
        let mut inner = self.lock();
        let key = (kind, is_prefix, Arc::from(name));
        if let Some(sender) = inner.senders.get(&key) {
            return sender.subscribe();
        }
        if inner.senders.len() >= inner.sweep_at.max(FEW) {
            inner.sweep();
        }
        if is_prefix {
            *inner.lengths.entry(name.len()).or_default() += 1;
        }
        inner.senders.entry(key).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Tells of a change to one name.
    pub(crate) fn publish(&self, kind: Kind, name: &str, revision: u64) {
        // Whoever follows configuration keys hears of those that are removed with their history as well.
        let kind = if kind == Kind::Purged { Kind::Item } else { kind };
        let inner = self.lock();
        if inner.senders.is_empty() {
            return;
        }
        let tell = |key: Name| {
            if let Some(sender) = inner.senders.get(&key) {
                sender.send_replace(revision);
            }
        };
        tell((kind, false, name.into()));
        for length in inner.lengths.keys().take_while(|length| **length <= name.len()) {
            if let Some(prefix) = name.get(..*length) {
                tell((kind, true, prefix.into()));
            }
        }
    }

    /// Wakes everybody: anything may have changed.
    pub(crate) fn publish_all(&self, revision: u64) {
        for sender in self.lock().senders.values() {
            sender.send_replace(revision);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn sweep(&mut self) {
        self.senders.retain(|_, sender| sender.receiver_count() > 0);
        self.lengths.clear();
        for (_, is_prefix, name) in self.senders.keys() {
            if *is_prefix {
                *self.lengths.entry(name.len()).or_default() += 1;
            }
        }
        self.sweep_at = self.senders.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reaches_its_key_and_every_prefix_of_it() {
        let topics = Topics::default();
        let waits: Vec<_> =
            [("a/b", false), ("a/", true), ("", true), ("a/b", true), ("b", true), ("a/", false)]
                .into_iter()
                .map(|(name, is_prefix)| topics.subscribe(Kind::Kv, name, is_prefix))
                .collect();
        topics.publish(Kind::Kv, "a/b", 7);
        topics.publish(Kind::Item, "b", 8);
        let seen: Vec<_> = waits.iter().map(|wait| *wait.borrow()).collect();
        assert_eq!(seen, [7, 7, 7, 7, 0, 0]);
        let item = topics.subscribe(Kind::Item, "a/", true);
        topics.publish(Kind::Purged, "a/b", 9);
        assert_eq!(*item.borrow(), 9);
    }

    #[test]
    fn topics_that_nobody_follows_do_not_pile_up() {
        let topics = Topics::default();
        let kept = topics.subscribe(Kind::Kv, "kept/", true);
        for n in 0..10_000 {
            topics.subscribe(Kind::Kv, &format!("k{n}"), n % 2 == 0);
        }
        assert!(topics.lock().senders.len() <= FEW);
        topics.publish(Kind::Kv, "kept/a", 3);
        assert_eq!(*kept.borrow(), 3);
    }
}
