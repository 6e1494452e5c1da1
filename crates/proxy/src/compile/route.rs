//! `[[route]]` and the `routes` of modules.

use trellis_core::ServiceName;
use trellis_core::model;

use super::Compiler;
use super::matchers::Asked;
use super::pattern::{captured, host, pattern, regex};
use super::template::Known;
use crate::mistake::key;
use crate::table::{Captured, End, Host, MethodSet, Pattern, Route, Target};

/// Where a route is: a pattern for the tree, or none with a regular expression.
type Place = (Option<Pattern>, Captured);

impl<'m> Compiler<'m> {
    pub(super) fn route(&mut self, index: usize, route: &'m model::Route) {
        let at = format!("route[{index}]");
        let before = self.mistakes.len();
        let place = self.place(&at, route);
        let methods = self.methods(&at, route);
        let hosts = self.hosts(&at, route);
        let matchers = self.matchers(&at, &Asked::from(route));
        self.wait(format!("{at}.timeout"), route.timeout, std::time::Duration::ZERO);
        let known = place.as_ref().map(|(pattern, captured)| {
            let has_tail = pattern.as_ref().is_some_and(|pattern| pattern.end == End::Below);
            Known { captured, has_tail }
        });
        let target = self.target(&at, route, known.as_ref());
        let request_headers = self.edits(&format!("{at}.request_headers"), route.request_headers.as_ref());
        let response_headers = self.edits(&format!("{at}.response_headers"), route.response_headers.as_ref());
        let rate_limits = self.rate_limits(&at, &route.rate_limit);
        let fault = route.fault.as_ref().map(|fault| self.fault(&format!("{at}.fault"), fault));
        let cors = match &route.cors {
            Some(cors) => self.cors(&format!("{at}.cors"), cors),
            None => self.defaults.cors.clone(),
        };
        let compression = match &route.compression {
            Some(compression) => self.compression(&format!("{at}.compression"), compression),
            None => self.defaults.compression.clone(),
        };
        let (Some((pattern, captured)), Some(methods), Some(matchers), Some(target)) =
            (place, methods, matchers, target)
        else {
            return;
        };
        if self.mistakes.len() > before {
            return;
        }
        let gateway = &self.model.gateway;
        let compiled = Route {
            index: 0,
            path: route.path.as_ref().or(route.regex.as_ref()).map_or("", String::as_str).into(),
            origin: at,
            methods,
            hosts,
            matchers: (!matchers.is_empty()).then(|| Box::new(matchers)),
            captured,
            target,
            timeout: route.timeout.unwrap_or(gateway.timeout).into(),
            max_body_bytes: route.max_body_bytes.unwrap_or(gateway.max_body_bytes),
            max_requests: route.max_requests,
            request_headers,
            response_headers,
            rate_limits,
            fault,
            cors,
            compression,
        };
        self.add(pattern.as_ref(), compiled);
    }

    /// `[module.NAME] routes`: leads to the module, unchanged.
    pub(super) fn shorthand(&mut self, module: &'m ServiceName, index: usize, path: &str) {
        let at = format!("{}.routes[{index}]", key("module", module.as_str()));
        let pattern = self.mistakes.take(&at, pattern(path));
        let upstream = self.upstream(&at, Some(module), None);
        if let (Some(pattern), Some(upstream)) = (pattern, upstream) {
            let route = Route {
                index: 0,
                path: path.into(),
                origin: at,
                methods: MethodSet::ALL,
                hosts: Box::default(),
                matchers: None,
                captured: captured(&pattern),
                target: Target::Forward(self.simply(upstream)),
                timeout: self.model.gateway.timeout.into(),
                max_body_bytes: self.model.gateway.max_body_bytes,
                max_requests: None,
                request_headers: None,
                response_headers: None,
                rate_limits: Box::default(),
                fault: None,
                cors: self.defaults.cors.clone(),
                compression: self.defaults.compression.clone(),
            };
            self.add(Some(&pattern), route);
        }
    }

    fn add(&mut self, pattern: Option<&Pattern>, route: Route) {
        let origin = route.origin.clone();
        let what = if pattern.is_some() { "path" } else { "regex" };
        if let Err(first) = self.table.add(pattern, route) {
            // A shorthand is itself the path.
            let at = if origin.starts_with("route[") { format!("{origin}.{what}") } else { origin };
            self.mistakes.add(at, format!("never reached: {first} takes the same {what} and methods"));
        }
    }

    fn place(&mut self, at: &str, route: &model::Route) -> Option<Place> {
        match (&route.path, &route.regex) {
            (Some(path), None) => {
                let pattern = self.mistakes.take(format!("{at}.path"), pattern(path))?;
                let captured = captured(&pattern);
                Some((Some(pattern), captured))
            }
            (None, Some(source)) => Some((None, self.mistakes.take(format!("{at}.regex"), regex(source))?)),
            _ => {
                self.mistakes.add(at, "exactly one of `path` and `regex` says which paths it takes");
                None
            }
        }
    }

    fn hosts(&mut self, at: &str, route: &model::Route) -> Box<[Host]> {
        let hosts = route.hosts.iter().enumerate();
        let hosts = hosts.filter_map(|(n, text)| self.mistakes.take(format!("{at}.hosts[{n}]"), host(text)));
        let mut hosts: Vec<_> = hosts.collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.into()
    }

    fn methods(&mut self, at: &str, route: &model::Route) -> Option<MethodSet> {
        let all = if route.aggregate.is_some() { MethodSet::READ } else { MethodSet::ALL };
        if route.methods.is_empty() {
            return Some(all);
        }
        let mut set = Some(MethodSet::NONE);
        for (index, name) in route.methods.iter().enumerate() {
            let method = MethodSet::named(name).and_then(|method| {
                let fits = all.covers(method);
                fits.then_some(method).ok_or_else(|| "an aggregation can only be read: use GET".into())
            });
            let method = self.mistakes.take(format!("{at}.methods[{index}]"), method);
            set = set.zip(method).map(|(set, method)| set.union(method));
        }
        set
    }
}
