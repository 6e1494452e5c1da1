//! What can still be read of a manifest with mistakes, so that the checks that need a whole model find theirs as well.

use std::collections::BTreeSet;

use serde_json::Value;
use trellis_core::model::AppModel;

use super::mistake::{Found, Mistake};
use super::path::{Path, Segment};

/// A model without the parts that are mistaken.
pub(crate) struct Salvage {
    /// What is left.
    pub model: AppModel,
    /// What the mistakes are about.
    broken: BTreeSet<Path>,
    /// The tables and lists that have one of them directly in them.
    around: BTreeSet<Path>,
    lists: Vec<List>,
}

/// A list of tables without those that have a mistake.
struct List {
    name: &'static str,
    /// Where the items that are left were before.
    kept: Vec<usize>,
    /// Whether it has fewer than before.
    lessened: bool,
}

/// Leaves out of `document` what `mistakes` are about. None if nothing useful is left.
pub(crate) fn salvage(mut document: Value, mistakes: &[Mistake]) -> Option<Salvage> {
    let broken: BTreeSet<_> = mistakes.iter().filter_map(|mistake| mistake.path().cloned()).collect();
    let mut lists = Vec::new();
    for name in ["route", "cluster", "tcp"] {
        if let Some(items) = document.get_mut(name).and_then(Value::as_array_mut) {
            let before = items.len();
            let kept = drop_items(items, name, &broken);
            lists.push(List { name, lessened: kept.len() < before, kept });
        }
    }
    for path in &broken {
        remove(&mut document, path);
    }
    let model = serde_json::from_value(document).ok()?;
    // A list that lost items may lack what somebody names.
    let lessened = lists.iter().filter(|list| list.lessened).map(|list| Path::keys([list.name]));
    let around = broken.iter().map(Path::parent).chain(lessened).collect();
    Some(Salvage { model, broken, around, lists })
}

impl Salvage {
    /// Those of `found` (mistakes of the salvaged model) that hold for the whole manifest too, at their places there.
    pub(crate) fn keep(&self, found: Vec<Mistake>) -> Vec<Mistake> {
        found
            .into_iter()
            .map(|mut mistake| {
                mistake.move_to(|path| self.original(path));
                mistake
            })
            .filter(|mistake| {
                let own = mistake.path().is_some_and(|path| self.is_related(path));
                let ground = mistake.rests_on.iter().any(|path| self.is_doubtful(path));
                !own && !ground && !self.tells_a_moved_place(mistake)
            })
            .collect()
    }

    /// Whether something broken is `path`, around it or within it.
    fn is_related(&self, path: &Path) -> bool {
        let next = self.broken.range(path..).next();
        self.is_within_broken(path) || next.is_some_and(|broken| broken.0.starts_with(&path.0))
    }

    /// Whether something broken is `path`, around it, or a key directly in it.
    fn is_doubtful(&self, path: &Path) -> bool {
        self.is_within_broken(path) || self.around.contains(path)
    }

    fn is_within_broken(&self, path: &Path) -> bool {
        (0..=path.0.len()).any(|length| self.broken.contains(&Path(path.0[..length].to_vec())))
    }

    /// Whether its words name an item of a list whose items are not where they were.
    fn tells_a_moved_place(&self, mistake: &Mistake) -> bool {
        let Found::Told(text) = &mistake.found else { return false };
        self.lists.iter().any(|list| list.lessened && text.contains(&format!("{}[", list.name)))
    }

    fn original(&self, path: &Path) -> Path {
        let mut path = path.clone();
        if let [Segment::Key(list), Segment::Index(index), ..] = path.0.as_mut_slice() {
            let kept = self.lists.iter().find(|known| known.name == list).map(|known| &known.kept);
            if let Some(before) = kept.and_then(|kept| kept.get(*index)) {
                *index = *before;
            }
        }
        path
    }
}

/// Drops the items that have a mistake; gives the former indexes of those that stay.
fn drop_items(items: &mut Vec<Value>, list: &str, broken: &BTreeSet<Path>) -> Vec<usize> {
    let bad: BTreeSet<_> = broken
        .iter()
        .filter_map(|path| match path.0.as_slice() {
            [Segment::Key(key), Segment::Index(index), ..] if key == list => Some(*index),
            _ => None,
        })
        .collect();
    let kept: Vec<_> = (0..items.len()).filter(|index| !bad.contains(index)).collect();
    let mut index = 0;
    items.retain(|_| {
        index += 1;
        !bad.contains(&(index - 1))
    });
    kept
}

/// Removes the key at `path`; of a list only the whole is removed, so that no index changes.
fn remove(document: &mut Value, path: &Path) {
    let keys: Vec<_> = path
        .0
        .iter()
        .map_while(|segment| match segment {
            Segment::Key(key) => Some(key),
            Segment::Index(_) => None,
        })
        .collect();
    // Items of these lists are gone already.
    let of_dropped_item = keys.len() == 1 && path.0.len() > 1;
    if let (Some((last, around)), false) = (keys.split_last(), of_dropped_item) {
        let table = around.iter().try_fold(document, |value, key| value.get_mut(key.as_str()));
        if let Some(object) = table.and_then(Value::as_object_mut) {
            object.remove(last.as_str());
        }
    }
}
