//! Which trees a request's host leads to.

use std::collections::HashMap;

use ahash::RandomState;

use super::tree::{Forest, Hits};
use super::view::View;

/// Which hosts a route takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Host {
    /// This one, in lower case.
    Exact(Box<str>),
    /// All that end with this, which begins with a dot.
    Below(Box<str>),
}

/// A tree of routes for each host that some route names.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    any: Option<u32>,
    exact: HashMap<Box<str>, u32, RandomState>,
    below: HashMap<Box<str>, u32, RandomState>,
}

impl Host {
    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *host,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
        }
    }
}

impl Hosts {
    /// The tree for `host`, for all hosts if there is none.
    pub(crate) fn tree(&mut self, host: Option<&Host>, forest: &mut Forest) -> u32 {
        match host {
            None => *self.any.get_or_insert_with(|| forest.plant()),
            Some(Host::Exact(name)) => *self.exact.entry(name.clone()).or_insert_with(|| forest.plant()),
            Some(Host::Below(suffix)) => *self.below.entry(suffix.clone()).or_insert_with(|| forest.plant()),
        }
    }

    /// All places that match, the most specific first.
    pub(crate) fn find(&self, view: &View<'_>, forest: &Forest) -> Hits {
        let mut hits = Hits::new();
        let path = view.path();
        if let Some(root) = self.any {
            forest.find(root, 0, path, &mut hits);
        }
        if !(self.exact.is_empty() && self.below.is_empty())
            && let Some(host) = view.host()
        {
            if let Some(root) = self.exact.get(&*host) {
                forest.find(*root, u32::MAX, path, &mut hits);
            }
            if !self.below.is_empty() {
                for (at, _) in host.match_indices('.').filter(|(at, _)| *at > 0) {
                    let suffix = &host[at..];
                    if let Some(root) = self.below.get(suffix) {
                        forest.find(*root, suffix.len() as u32, path, &mut hits);
                    }
                }
            }
        }
        hits.sort_unstable_by_key(|hit| std::cmp::Reverse(hit.rank()));
        hits
    }
}
