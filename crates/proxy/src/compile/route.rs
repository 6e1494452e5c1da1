//! `[[route]]` and the `routes` of modules.

use std::time::Duration;

use trellis_core::ServiceName;
use trellis_core::model;

use super::Compiler;
use super::pattern::{pattern, rewrite};
use crate::mistake::key;
use crate::table::{MethodSet, Pattern, Route, Target};

impl<'m> Compiler<'m> {
    pub(super) fn route(&mut self, index: usize, route: &'m model::Route) {
        let at = format!("route[{index}]");
        let written = route.path.as_deref().unwrap_or_default();
        let path = self.mistakes.take(format!("{at}.path"), pattern(written));
        let methods = self.methods(&at, route);
        let gateway = &self.model.gateway;
        let (timeout, body) = (Duration::from(gateway.timeout), gateway.max_body_bytes);
        let timeout = self.wait(format!("{at}.timeout"), route.timeout, timeout);
        let target = self.target(&at, route, path.as_ref(), timeout);
        if let (Some(path), Some(methods), Some(target)) = (path, methods, target) {
            let max_body_bytes = route.max_body_bytes.unwrap_or(body);
            let compiled =
                Route { path: written.into(), origin: at, methods, target, timeout, max_body_bytes };
            self.add(&path, compiled);
        }
    }

    /// `[module.NAME] routes`: leads to the module, unchanged.
    pub(super) fn shorthand(&mut self, module: &'m ServiceName, index: usize, path: &str) {
        let at = format!("{}.routes[{index}]", key("module", module.as_str()));
        let pattern = self.mistakes.take(&at, pattern(path));
        let upstream = self.upstream(&at, Some(module), None);
        if let (Some(pattern), Some(upstream)) = (pattern, upstream) {
            let route = Route {
                path: path.into(),
                origin: at,
                methods: MethodSet::ALL,
                target: Target::Forward { upstream, rewrite: None },
                timeout: self.model.gateway.timeout.into(),
                max_body_bytes: self.model.gateway.max_body_bytes,
            };
            self.add(&pattern, route);
        }
    }

    fn add(&mut self, pattern: &Pattern, route: Route) {
        let origin = route.origin.clone();
        if let Err(first) = self.table.add(pattern, route) {
            // A shorthand is itself the path.
            let at = if origin.starts_with("route[") { format!("{origin}.path") } else { origin };
            self.mistakes.add(at, format!("never reached: {first} takes the same path and methods"));
        }
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

    fn target(
        &mut self,
        at: &str,
        route: &'m model::Route,
        path: Option<&Pattern>,
        timeout: Duration,
    ) -> Option<Target> {
        let named = [route.service.is_some(), route.cluster.is_some(), route.aggregate.is_some()];
        if named.into_iter().filter(|named| *named).count() != 1 {
            self.mistakes
                .add(at, "exactly one of `service`, `cluster` and `aggregate` says where the request goes");
            return None;
        }
        if let Some(aggregate) = &route.aggregate {
            for (field, given) in
                [("rewrite", route.rewrite.is_some()), ("max_body_bytes", route.max_body_bytes.is_some())]
            {
                if given {
                    self.mistakes.add(
                        format!("{at}.{field}"),
                        "means nothing here: an aggregation forwards no request",
                    );
                }
            }
            return self.aggregate(&format!("{at}.aggregate"), aggregate, timeout).map(Target::Aggregate);
        }
        let upstream = self.upstream(at, route.service.as_ref(), route.cluster.as_ref());
        let rewrite = match &route.rewrite {
            None => None,
            Some(text) => Some(self.mistakes.take(format!("{at}.rewrite"), rewrite(text, path?))?),
        };
        Some(Target::Forward { upstream: upstream?, rewrite })
    }
}
