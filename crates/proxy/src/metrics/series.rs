//! Counts by name, for as long as somebody needs them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The name under which everything is counted that finds no place of its own.
pub(super) const OTHER: &str = "other";

/// Values of the labels, in the order of the family.
pub(super) type Key<const LABELS: usize> = [Arc<str>; LABELS];

/// Counts of one kind. Whoever asks for a name again gets the counts it had, so they go on over a swap of the route
/// table. What nobody holds any more is shown once more and then dropped.
#[derive(Debug)]
pub(super) struct Series<const LABELS: usize, M> {
    known: BTreeMap<Key<LABELS>, Entry<M>>,
    other: Option<Arc<M>>,
    max: usize,
    /// Names that were counted as [`OTHER`].
    overflowed: u64,
    /// Names to pass over before it is worth looking for a place again.
    full: usize,
}

#[derive(Debug)]
struct Entry<M> {
    metrics: Arc<M>,
    /// It was shown since it was let go.
    shown: bool,
}

impl<M> Entry<M> {
    /// Only this map can make a second owner out of one, so the answer stays true while it is locked.
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.metrics) > 1
    }
}

impl<const LABELS: usize, M> Series<LABELS, M> {
    pub(super) fn new(max: usize) -> Self {
        Self { known: BTreeMap::new(), other: None, max, overflowed: 0, full: 0 }
    }

    /// The counts for a name, or those of all others if there are too many names.
    pub(super) fn get(&mut self, name: [&str; LABELS], make: impl FnOnce() -> M) -> Arc<M> {
        let key = name.map(Arc::from);
        if let Some(entry) = self.known.get_mut(&key) {
            entry.shown = false;
            return Arc::clone(&entry.metrics);
        }
        // Somebody may be called that; they share, because a name stands in the text once.
        let is_other = name == [OTHER; LABELS];
        if is_other || !self.has_place() {
            self.overflowed += u64::from(!is_other);
            return Arc::clone(self.other.get_or_insert_with(|| Arc::new(make())));
        }
        let metrics = Arc::new(make());
        self.known.insert(key, Entry { metrics: Arc::clone(&metrics), shown: false });
        metrics
    }

    /// Makes room by dropping what nobody holds. If that gives none, it is tried again only after as many names as were
    /// looked at, so that a large table over the bound does not cost its square.
    fn has_place(&mut self) -> bool {
        if self.known.len() < self.max {
            return true;
        }
        if self.full > 0 {
            self.full -= 1;
            return false;
        }
        self.known.retain(|_, entry| entry.is_held());
        let has_place = self.known.len() < self.max;
        self.full = if has_place { 0 } else { self.known.len() };
        has_place
    }

    /// What is to be shown, in the order of the names.
    pub(super) fn scrape(&mut self) -> Vec<(Key<LABELS>, Arc<M>)> {
        self.known.retain(|_, entry| {
            let held = entry.is_held();
            let keep = held || !entry.shown;
            entry.shown = !held;
            keep
        });
        let known = self.known.iter().map(|(key, entry)| (key.clone(), Arc::clone(&entry.metrics)));
        let other = self.other.iter().map(|metrics| ([OTHER; LABELS].map(Arc::from), Arc::clone(metrics)));
        known.chain(other).collect()
    }

    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(series: &mut Series<1, ()>) -> Vec<String> {
        series.scrape().iter().map(|([name], _)| name.to_string()).collect()
    }

    #[test]
    fn a_name_keeps_its_counts_while_somebody_holds_them() {
        let mut series = Series::new(10);
        let first = series.get(["a"], || 1);
        assert!(Arc::ptr_eq(&first, &series.get(["a"], || 2)));
        drop(first);
        // Nobody holds it in the middle of a swap.
        assert_eq!(*series.get(["a"], || 3), 1);
    }

    #[test]
    fn what_was_let_go_is_shown_once_more() {
        let mut series = Series::new(10);
        let held = series.get(["b"], || ());
        let again = series.get(["c"], || ());
        drop(series.get(["a"], || ()));
        assert_eq!(names(&mut series), ["a", "b", "c"]);
        drop(again);
        assert_eq!(names(&mut series), ["b", "c"]);
        drop(series.get(["c"], || ()));
        assert_eq!(names(&mut series), ["b", "c"], "it was used in between");
        assert_eq!(names(&mut series), ["b"]);
        drop(held);
    }

    #[test]
    fn too_many_names_are_counted_together() {
        let mut series = Series::new(2);
        let held: Vec<_> = ["a", "b", "c", "d"].map(|name| series.get([name], || ())).into();
        assert!(Arc::ptr_eq(&held[2], &held[3]) && !Arc::ptr_eq(&held[0], &held[1]));
        assert_eq!(
            (names(&mut series), series.overflowed()),
            (vec!["a".into(), "b".into(), "other".into()], 2)
        );
        drop(held);
        // There is room now, found after a few tries.
        let found: Vec<_> = (0..4).map(|_| series.get(["e"], || ())).collect();
        assert!(!Arc::ptr_eq(&found[0], &found[3]));
        assert_eq!(names(&mut series), ["e", "other"]);
    }

    #[test]
    fn somebody_may_be_called_other() {
        let mut series = Series::new(1);
        let other = series.get([OTHER], || ());
        let held = [series.get(["a"], || ()), series.get(["b"], || ())];
        assert!(Arc::ptr_eq(&other, &held[1]));
        assert_eq!((names(&mut series), series.overflowed()), (vec!["a".into(), "other".into()], 1));
    }

    #[test]
    fn churn_does_not_grow() {
        let mut series = Series::new(100);
        for n in 0..10_000 {
            drop(series.get([&n.to_string()], || ()));
            assert!(series.known.len() <= 100);
        }
        assert_eq!(series.overflowed(), 0);
    }
}
