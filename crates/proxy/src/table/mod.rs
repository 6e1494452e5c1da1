//! Compiled routes.

mod captures;
#[cfg(test)]
mod choice;
mod edits;
mod expression;
mod hosts;
mod matcher;
mod methods;
#[cfg(test)]
mod oracle;
mod route;
mod target;
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod upstream;
mod view;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::request::Parts;
use trellis_core::model;

pub(crate) use captures::{Captures, Params};
pub(crate) use edits::HeaderEdits;
pub(crate) use expression::{Condition, Key};
pub(crate) use hosts::Host;
pub(crate) use matcher::{Matcher, Matchers};
pub(crate) use methods::MethodSet;
pub(crate) use route::{Captured, Route};
pub(crate) use target::{Canary, Destination, Fault, Forward, Mirror, RateLimit, Target};
pub(crate) use template::{Part, Template};
pub(crate) use tree::{End, MAX_SEGMENTS, Pattern, Piece};
pub(crate) use upstream::{Defaults, Source, Upstream};
pub(crate) use view::View;

use crate::path::normal_path;
use hosts::Hosts;
use tree::{Candidate, Forest, Hit};

/// All routes of an application, checked and ready for lookups. Made by [`compile`](crate::compile); never changed.
#[derive(Debug, Default)]
pub struct RouteTable {
    hosts: Hosts,
    forest: Forest,
    /// Those with a regular expression, in the order of the file.
    regexes: Vec<u32>,
    pub(crate) routes: Vec<Route>,
    pub(crate) upstreams: Vec<Upstream>,
    /// What upstreams have that they do not say themselves.
    pub(crate) gateway: model::Gateway,
    pub(crate) tcp: Vec<TcpRoute>,
}

/// A port whose connections are passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TcpRoute {
    /// Where it is written: `tcp[0]`.
    pub(crate) origin: String,
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_connections: u32,
}

/// What a request leads to.
#[derive(Debug)]
pub(crate) enum Lookup<'t> {
    Route {
        route: &'t Route,
        captures: Captures,
    },
    /// The path has routes, but none for the method.
    WrongMethod(MethodSet),
    Nothing,
}

impl RouteTable {
    /// Nothing yet, with `gateway` for what upstreams do not say themselves.
    pub(crate) fn of(gateway: model::Gateway) -> Self {
        Self { gateway, ..Self::default() }
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The addresses whose connections are passed on as they come, and where each is written: `tcp[0]`.
    pub fn tcp_listens(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.tcp.iter().map(|route| (route.origin.as_str(), route.listen))
    }

    /// Where the route is written that a request of this head would take: `route[2]`.
    pub fn which(&self, head: &Parts, client: Option<IpAddr>) -> Option<&str> {
        match self.lookup(&View::new(head, client, false)) {
            Lookup::Route { route, .. } => Some(&route.origin),
            Lookup::WrongMethod(_) | Lookup::Nothing => None,
        }
    }

    /// How often a `when` had no answer, which counts as no.
    pub fn failed_conditions(&self) -> u64 {
        self.routes.iter().map(Route::failed_conditions).sum()
    }

    /// Adds a route after the others. If it would never be reached, says where the one is that stands before it.
    pub(crate) fn add(&mut self, pattern: Option<&Pattern>, mut route: Route) -> Result<(), String> {
        let candidate = Candidate {
            route: self.routes.len() as u32,
            methods: route.methods,
            is_plain: route.matchers.is_none(),
            has_params: !route.captured.places.is_empty(),
            end: pattern.map_or(End::Here, |pattern| pattern.end),
        };
        let before = match pattern {
            Some(pattern) => self.add_path(pattern, &route, candidate),
            None => self.add_regex(&route, candidate),
        };
        if let Some(index) = before {
            return Err(self.routes[index as usize].origin.clone());
        }
        route.index = self.routes.len();
        self.routes.push(route);
        Ok(())
    }

    fn add_path(&mut self, pattern: &Pattern, route: &Route, candidate: Candidate) -> Option<u32> {
        let hosts = || route.hosts.iter().map(Some).chain(route.hosts.is_empty().then_some(None));
        let mut hidden_by = None;
        for host in hosts() {
            let root = self.hosts.tree(host, &mut self.forest);
            hidden_by = hides(self.forest.at(root, pattern), route.methods);
            if hidden_by.is_none() {
                break;
            }
        }
        if hidden_by.is_some() {
            return hidden_by;
        }
        for host in hosts() {
            let root = self.hosts.tree(host, &mut self.forest);
            self.forest.add(root, pattern, candidate);
        }
        None
    }

    fn add_regex(&mut self, route: &Route, candidate: Candidate) -> Option<u32> {
        let same = self.regexes.iter().map(|index| (*index, &self.routes[*index as usize]));
        let same = same.filter(|(_, other)| other.path == route.path && other.hosts == route.hosts);
        let same = same.map(|(index, other)| Candidate {
            route: index,
            methods: other.methods,
            is_plain: other.matchers.is_none(),
            has_params: false,
            end: End::Here,
        });
        let same: Vec<_> = same.collect();
        let hidden_by = hides(same.iter(), route.methods);
        if hidden_by.is_none() {
            self.regexes.push(candidate.route);
        }
        hidden_by
    }

    /// The route for a request whose path has passed [`crate::path::check`]. The most specific path wins, then the most
    /// specific host, then the order of the file; a route whose other conditions do not hold is passed over. Regular
    /// expressions are tried last.
    pub(crate) fn lookup(&self, view: &View<'_>) -> Lookup<'_> {
        let hits = self.hosts.find(view, &self.forest);
        for group in hits.chunk_by(|a, b| a.path_rank() == b.path_rank()) {
            if let Some(found) = self.choose(group, view) {
                return found;
            }
        }
        if self.regexes.is_empty() { Lookup::Nothing } else { self.by_regex(view) }
    }

    /// Among places of equal paths. A path of its own is not given up for a wider one that takes the method.
    fn choose(&self, group: &[Hit], view: &View<'_>) -> Option<Lookup<'_>> {
        let all = || group.iter().flat_map(|hit| self.forest.candidates(hit).map(move |c| (hit, c)));
        let fits = |hit: &Hit, candidate: &Candidate| {
            candidate.is_plain || self.routes[candidate.route as usize].fits(hit, view)
        };
        let asked = MethodSet::of(&view.head.method);
        for (hit, candidate) in all() {
            if candidate.methods.covers(asked) && fits(hit, candidate) {
                let route = &self.routes[candidate.route as usize];
                // The route itself is not looked into without need: of many, few are in the processor's caches.
                let captures = if candidate.has_params {
                    route.captures(hit, view.path())
                } else {
                    Captures::of_path(view.path(), &[], hit.tail())
                };
                return Some(Lookup::Route { route, captures });
            }
        }
        let others = all().filter(|(hit, c)| !c.methods.covers(asked) && fits(hit, c));
        let others = others.fold(MethodSet::NONE, |all, (_, c)| all.union(c.methods));
        (others != MethodSet::NONE).then_some(Lookup::WrongMethod(others))
    }

    fn by_regex(&self, view: &View<'_>) -> Lookup<'_> {
        let (path, host) = (normal_path(view.path()), view.host());
        let is_as_it_came = matches!(path, std::borrow::Cow::Borrowed(_));
        let asked = MethodSet::of(&view.head.method);
        let mut others = MethodSet::NONE;
        for route in self.regexes.iter().map(|index| &self.routes[*index as usize]) {
            let host = || host.as_deref().is_some_and(|host| route.hosts.iter().any(|h| h.matches(host)));
            if !(route.hosts.is_empty() || host()) {
                continue;
            }
            let Some(groups) = route.captured.regex.as_ref().and_then(|regex| regex.captures(&path)) else {
                continue;
            };
            let captures = Captures::of_groups(&groups, &path, is_as_it_came);
            let params = route.params(&captures, view.path());
            if !route.matchers.as_ref().is_none_or(|matchers| matchers.fit(view, &params)) {
                continue;
            }
            if route.methods.covers(asked) {
                return Lookup::Route { route, captures };
            }
            others = others.union(route.methods);
        }
        if others == MethodSet::NONE { Lookup::Nothing } else { Lookup::WrongMethod(others) }
    }
}

/// The first of those that together take every request with one of `methods`.
fn hides<'c>(before: impl Iterator<Item = &'c Candidate> + Clone, methods: MethodSet) -> Option<u32> {
    let plain = before.filter(|candidate| candidate.is_plain);
    let covered = plain.clone().fold(MethodSet::NONE, |all, candidate| all.union(candidate.methods));
    plain.map(|candidate| candidate.route).next().filter(|_| covered.covers(methods))
}
