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
    broken: Vec<Path>,
    /// Lists of tables that lost items, and where their items were.
    moved: Vec<(&'static str, Vec<usize>)>,
}

/// Leaves out of `document` what `mistakes` are about. None if nothing useful is left.
pub(crate) fn salvage(mut document: Value, mistakes: &[Mistake]) -> Option<Salvage> {
    let broken: Vec<_> = mistakes.iter().filter_map(|mistake| mistake.path().cloned()).collect();
    let moved = ["route", "cluster"]
        .into_iter()
        .filter_map(|list| Some((list, drop_items(document.get_mut(list)?.as_array_mut()?, list, &broken))))
        .collect();
    for path in &broken {
        remove(&mut document, path);
    }
    let model = serde_json::from_value(document).ok()?;
    Some(Salvage { model, broken, moved })
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
                let own = mistake.path().is_some_and(|path| self.broken.iter().any(|b| related(path, b)));
                let ground =
                    mistake.rests_on.iter().any(|path| self.broken.iter().any(|b| ground_broken(path, b)));
                !own && !ground && !self.tells_a_moved_place(mistake)
            })
            .collect()
    }

    /// Whether its words name an item of a list whose items are not where they were.
    fn tells_a_moved_place(&self, mistake: &Mistake) -> bool {
        let Found::Told(text) = &mistake.found else { return false };
        let shifted = |kept: &[usize]| kept.iter().enumerate().any(|(now, before)| now != *before);
        self.moved.iter().any(|(list, kept)| shifted(kept) && text.contains(&format!("{list}[")))
    }

    fn original(&self, path: &Path) -> Path {
        let mut path = path.clone();
        if let [Segment::Key(list), Segment::Index(index), ..] = path.0.as_mut_slice() {
            let kept = self.moved.iter().find(|(name, _)| name == list).map(|(_, kept)| kept);
            if let Some(before) = kept.and_then(|kept| kept.get(*index)) {
                *index = *before;
            }
        }
        path
    }
}

/// One is within the other.
fn related(a: &Path, b: &Path) -> bool {
    a.0.starts_with(&b.0) || b.0.starts_with(&a.0)
}

/// `broken` is `path` or around it, or a key directly in it.
fn ground_broken(path: &Path, broken: &Path) -> bool {
    path.0.starts_with(&broken.0) || broken.parent() == *path
}

/// Drops the items that have a mistake; gives the former indexes of those that stay.
fn drop_items(items: &mut Vec<Value>, list: &str, broken: &[Path]) -> Vec<usize> {
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
