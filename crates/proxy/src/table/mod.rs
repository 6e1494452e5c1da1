//! Compiled routes.

mod methods;
mod rewrite;
#[cfg(test)]
mod tests;
mod trie;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use trellis_core::ServiceName;

pub(crate) use methods::MethodSet;
pub(crate) use rewrite::Rewrite;
pub(crate) use trie::{Pattern, Trie};

use crate::aggregate::Aggregate;

/// All routes of an application, checked and ready for lookups. Made by [`compile`](crate::compile); never changed.
#[derive(Debug, Default)]
pub struct RouteTable {
    trie: Trie,
    routes: Vec<Arc<Route>>,
    pub(crate) upstreams: Vec<Upstream>,
}

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// Its path as it is written.
    pub(crate) path: Box<str>,
    /// Where it is written: `route[2]`.
    pub(crate) origin: String,
    pub(crate) methods: MethodSet,
    pub(crate) target: Target,
    /// Longest wait for an answer to begin.
    pub(crate) timeout: Duration,
    /// Largest request body.
    pub(crate) max_body_bytes: u64,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Target {
    Forward { upstream: usize, rewrite: Option<Rewrite> },
    Aggregate(Aggregate),
}

/// Something that can be called; routes hold its index in the table. Equal upstreams of two tables are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Upstream {
    /// A service of the registry.
    Service(ServiceName),
    /// Addresses from the file.
    Fixed(ServiceName, Vec<String>),
}

/// What a request leads to.
#[derive(Debug)]
pub(crate) enum Lookup<'p> {
    Route {
        route: Arc<Route>,
        /// What `**` stands for: empty, or beginning with a slash.
        tail: &'p str,
    },
    /// The path has routes, but none for the method.
    WrongMethod(MethodSet),
    Nothing,
}

impl RouteTable {
    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Adds a route after the others. If it would never be reached, says where the one is that stands before it.
    pub(crate) fn add(&mut self, pattern: &Pattern, route: Route) -> Result<(), String> {
        let here = self.trie.at(pattern);
        let before =
            here.iter().map(|index| self.routes[*index].methods).fold(MethodSet::NONE, MethodSet::union);
        if let Some(first) = here.first().filter(|_| before.covers(route.methods)) {
            return Err(self.routes[*first].origin.clone());
        }
        here.push(self.routes.len());
        self.routes.push(Arc::new(route));
        Ok(())
    }

    /// The route for a path that has passed [`crate::path::check`]. The most specific path wins; among equals, the first
    /// that takes the method.
    pub(crate) fn lookup<'p>(&self, method: &Method, path: &'p str) -> Lookup<'p> {
        let Some(found) = self.trie.find(path) else { return Lookup::Nothing };
        let routes = || found.routes.iter().map(|index| &self.routes[*index]);
        match routes().find(|route| route.methods.contains(method)) {
            Some(route) => Lookup::Route { route: Arc::clone(route), tail: &path[found.tail..] },
            None => Lookup::WrongMethod(
                routes().map(|route| route.methods).fold(MethodSet::NONE, MethodSet::union),
            ),
        }
    }
}

impl Upstream {
    pub(crate) fn name(&self) -> &ServiceName {
        match self {
            Self::Service(name) | Self::Fixed(name, _) => name,
        }
    }
}
