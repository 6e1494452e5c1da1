//! One copy of what many instances say alike.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use crate::model::labels::{Labels, Tags};
use crate::model::names::{Name, Namespace};

/// Gives out the copy that is known already. What nobody else holds any more is forgotten now and then.
#[derive(Default)]
pub(super) struct Intern {
    texts: Pool<Arc<str>>,
    names: Pool<Spelt>,
    namespaces: Pool<Namespace>,
    labels: Pool<Labels>,
    tags: Pool<Tags>,
}

/// A name with its spelling, which the name itself forgets when it is compared.
#[derive(Clone)]
struct Spelt(Name);

struct Pool<T> {
    known: HashSet<T, ahash::RandomState>,
    sweep_at: usize,
}

trait Shared: Clone + Eq + Hash {
    fn is_alone(&self) -> bool;
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { known: HashSet::default(), sweep_at: 1024 }
    }
}

impl<T: Shared> Pool<T> {
    fn get(&mut self, value: T) -> T {
        if let Some(known) = self.known.get(&value) {
            return known.clone();
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| !known.is_alone());
            self.sweep_at = (self.known.len() * 2).max(1024);
        }
        self.known.insert(value.clone());
        value
    }
}

impl Intern {
    pub(super) fn text(&mut self, text: &Arc<str>) -> Arc<str> {
        self.texts.get(text.clone())
    }

    pub(super) fn maybe(&mut self, text: Option<&Arc<str>>) -> Option<Arc<str>> {
        text.map(|text| self.text(text))
    }

    pub(super) fn name(&mut self, name: &Name) -> Name {
        self.names.get(Spelt(name.clone())).0
    }

    pub(super) fn namespace(&mut self, namespace: &Namespace) -> Namespace {
        self.namespaces.get(namespace.clone())
    }

    pub(super) fn labels(&mut self, labels: &Labels) -> Labels {
        if labels.is_empty() { Labels::default() } else { self.labels.get(labels.clone()) }
    }

    pub(super) fn tags(&mut self, tags: &Tags) -> Tags {
        if tags.is_empty() { Tags::default() } else { self.tags.get(tags.clone()) }
    }
}

impl PartialEq for Spelt {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Spelt {}

impl Hash for Spelt {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl Shared for Arc<str> {
    fn is_alone(&self) -> bool {
        Arc::strong_count(self) == 1
    }
}

impl Shared for Spelt {
    fn is_alone(&self) -> bool {
        self.0.is_alone()
    }
}

impl Shared for Namespace {
    fn is_alone(&self) -> bool {
        Namespace::is_alone(self)
    }
}

impl Shared for Labels {
    fn is_alone(&self) -> bool {
        Labels::is_alone(self)
    }
}

impl Shared for Tags {
    fn is_alone(&self) -> bool {
        Tags::is_alone(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_become_one_and_forgotten_ones_do_not_pile_up() {
        let mut intern = Intern::default();
        let first = intern.text(&"10.0.0.1".into());
        assert!(Arc::ptr_eq(&first, &intern.text(&"10.0.0.1".into())));
        for n in 0..100_000 {
            intern.text(&n.to_string().into());
        }
        assert!(intern.texts.known.len() <= 1025);
        assert!(Arc::ptr_eq(&first, &intern.text(&"10.0.0.1".into())), "in use, so it stays");
        let (upper, lower): (Name, Name) = ("Web".parse().unwrap(), "web".parse().unwrap());
        assert_eq!(intern.name(&upper).as_str(), "Web");
        assert_eq!(intern.name(&lower).as_str(), "web");
    }
}
