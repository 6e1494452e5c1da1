//! Answers that many ask for, made once.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;

/// An answer that all who ask the same share.
#[derive(Debug, PartialEq, Eq)]
pub struct Cached {
    /// The index of its topic, taken before it was made: what it says is at least that new.
    pub index: u64,
    /// The answer.
    pub body: Bytes,
}

/// Which answers are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// That of this index, or a newer one.
    Since(u64),
    /// That of this index and no other, where indexes do not only grow.
    Exactly(u64),
}

/// The last answers, by topic and variant. The oldest make room for new ones.
pub struct Answers<T>(Mutex<Inner<T>>);

struct Inner<T> {
    answers: HashMap<T, HashMap<Box<str>, Arc<Slot>>>,
    /// In the order in which they were made, with what they count for.
    order: VecDeque<(T, Box<str>, u64, usize)>,
    bytes: usize,
}

struct Slot {
    index: u64,
    made: OnceLock<Arc<Cached>>,
}

/// What an answer costs beside its bytes.
const OVERHEAD: usize = 256;

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(Mutex::new(Inner { answers: HashMap::new(), order: VecDeque::new(), bytes: 0 }))
    }
}

impl Index {
    fn takes(self, there: u64) -> bool {
        match self {
            Self::Since(index) => there >= index,
            Self::Exactly(index) => there == index,
        }
    }
}

impl<T: Clone + Eq + Hash> Answers<T> {
    /// The answer, and whether it was there already. Of those who ask at once, one makes it and the others wait for it. All
    /// answers together are kept within `most` bytes.
    pub fn get(
        &self,
        topic: &T,
        variant: &str,
        wanted: Index,
        most: usize,
        make: impl FnOnce() -> Bytes,
    ) -> (Arc<Cached>, bool) {
        let (Index::Since(index) | Index::Exactly(index)) = wanted;
        let slot = {
            let mut inner = self.lock();
            let known = inner.answers.get(topic).and_then(|variants| variants.get(variant));
            if let Some(slot) = known.filter(|slot| wanted.takes(slot.index)) {
                slot.clone()
            } else {
                let slot = Arc::new(Slot { index, made: OnceLock::new() });
                inner.answers.entry(topic.clone()).or_default().insert(variant.into(), slot.clone());
                slot
            }
        };
        let mut hit = true;
        let made = slot.made.get_or_init(|| {
            hit = false;
            Arc::new(Cached { index: slot.index, body: make() })
        });
        if !hit {
            self.lock().count(topic, variant, made, most);
        }
        (made.clone(), hit)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Eq + Hash> Inner<T> {
    fn count(&mut self, topic: &T, variant: &str, made: &Cached, most: usize) {
        let size = made.body.len() + variant.len() + OVERHEAD;
        self.bytes += size;
        self.order.push_back((topic.clone(), variant.into(), made.index, size));
        while self.bytes > most
            && let Some((topic, variant, index, size)) = self.order.pop_front()
        {
            self.bytes -= size;
            let Some(variants) = self.answers.get_mut(&topic) else { continue };
            // A newer answer has its own place in the order.
            if variants.get(&variant).is_some_and(|slot| slot.index == index) {
                variants.remove(&variant);
            }
            if variants.is_empty() {
                self.answers.remove(&topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_for_each_index_and_variant() {
        let cache = Answers::default();
        let ask = |variant: &str, wanted, body: &'static str| {
            cache.get(&"nodes", variant, wanted, 1 << 20, || Bytes::from_static(body.as_bytes()))
        };
        let (first, hit) = ask("json", Index::Since(3), "a");
        assert!(!hit);
        let (again, hit) = ask("json", Index::Since(3), "never made");
        assert!(hit && Arc::ptr_eq(&first, &again));
        assert_eq!(ask("xml", Index::Since(3), "b").0.body, "b");
        assert_eq!(ask("json", Index::Since(4), "c").0.body, "c");
        assert_eq!(ask("json", Index::Since(3), "never made").0.body, "c", "newer is as good");
        assert_eq!(ask("json", Index::Exactly(4), "never made").0.body, "c");
        assert_eq!(ask("json", Index::Exactly(3), "d").0.body, "d");
    }

    #[test]
    fn old_answers_make_room() {
        let cache = Answers::default();
        for n in 0..10_000 {
            let variant = n.to_string();
            cache.get(&"nodes", &variant, Index::Since(1), 10_000, || Bytes::from_static(b"0123456789"));
        }
        let inner = cache.lock();
        assert!(inner.bytes <= 10_000);
        let kept: usize = inner.answers.values().map(HashMap::len).sum();
        assert_eq!(kept, inner.order.len());
        assert!((1..100).contains(&kept));
    }
}
