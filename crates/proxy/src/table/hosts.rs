//! Which trees a request's host leads to.

use super::tree::{BELOW, Forest, HOST, Hits};
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
    has_exact: bool,
    has_below: bool,
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
            Some(Host::Exact(name)) => {
                self.has_exact = true;
                forest.literal(HOST, name)
            }
            Some(Host::Below(suffix)) => {
                self.has_below = true;
                forest.literal(BELOW, suffix)
            }
        }
    }

    /// All places that match, the most specific first.
    pub(crate) fn find(&self, view: &View<'_>, forest: &Forest) -> Hits {
        let mut hits = Hits::new();
        let path = view.path();
        if let Some(root) = self.any {
            forest.find(root, 0, path, &mut hits);
        }
        if (self.has_exact || self.has_below)
            && let Some(host) = view.host()
        {
            if let Some(root) = forest.child(HOST, &host) {
                forest.find(root, u32::MAX, path, &mut hits);
            }
            let dots = host.match_indices('.').filter(|(at, _)| self.has_below && *at > 0);
            for suffix in dots.map(|(at, _)| &host[at..]) {
                if let Some(root) = forest.child(BELOW, suffix) {
                    forest.find(root, suffix.len() as u32, path, &mut hits);
                }
            }
        }
        hits.sort_unstable_by_key(|hit| std::cmp::Reverse(hit.rank()));
        hits
    }
}
