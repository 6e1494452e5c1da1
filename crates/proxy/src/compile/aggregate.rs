//! `[route.aggregate]`

use std::time::Duration;

use trellis_core::model;
use trellis_expr::{Expression, Limits};

use super::Compiler;
use super::pattern::path_and_query;
use crate::aggregate::{Aggregate, Computed, Part};
use crate::mistake::{hint, key};

/// The member that holds what went wrong.
const ERRORS: &str = "errors";

impl<'m> Compiler<'m> {
    pub(super) fn aggregate(
        &mut self,
        at: &str,
        aggregate: &'m model::Aggregate,
        timeout: Duration,
    ) -> Option<Aggregate> {
        if aggregate.parts.is_empty() {
            self.mistakes.add(at, "an aggregation needs parts: name = { service = \"...\", get = \"/...\" }");
        }
        let parts = aggregate.parts.iter().map(|(name, part)| self.part(&key(at, name), name, part, timeout));
        let parts: Vec<_> = parts.collect();
        let compute_at = format!("{at}.compute");
        self.targets(&compute_at, aggregate);
        let computed: Vec<_> = aggregate
            .compute
            .iter()
            .map(|(target, source)| self.computed(&key(&compute_at, target), target, source, aggregate))
            .collect();
        let (parts, computed) =
            (parts.into_iter().collect::<Option<_>>()?, computed.into_iter().collect::<Option<_>>()?);
        Some(Aggregate::new(parts, computed))
    }

    fn part(&mut self, at: &str, name: &str, part: &'m model::Part, timeout: Duration) -> Option<Part> {
        if name == ERRORS {
            self.mistakes.add(at, "the member \"errors\" tells which parts failed; use another name");
        }
        if part.service.is_some() == part.cluster.is_some() {
            self.mistakes.add(at, "exactly one of `service` and `cluster` says where the part comes from");
        }
        if part.max_bytes == 0 {
            self.mistakes.add(format!("{at}.max_bytes"), "no answer has 0 bytes: use at least 1");
        }
        let upstream = self.upstream(at, part.service.as_ref(), part.cluster.as_ref());
        let timeout = self.wait(format!("{at}.timeout"), part.timeout, timeout);
        let get = self.mistakes.take(format!("{at}.get"), path_and_query(&part.get));
        Some(Part { name: name.into(), upstream: upstream?, get: get?, timeout, max_bytes: part.max_bytes })
    }

    /// Checks where computed members go: next to the parts and next to each other, never over them.
    fn targets(&mut self, at: &str, aggregate: &model::Aggregate) {
        let mut before: Vec<&str> = Vec::new();
        for target in aggregate.compute.keys() {
            let here = key(at, target);
            let first = target.split('.').next().unwrap_or_default();
            if target.split('.').any(str::is_empty) {
                self.mistakes.add(&here, "a target is names with dots between them: \"stats.total\"");
            } else if aggregate.parts.contains_key(first) {
                self.mistakes
                    .add(&here, format!("{first:?} is a part already; put the value under another name"));
            } else if first == ERRORS {
                self.mistakes.add(&here, "the member \"errors\" tells which parts failed; use another name");
            } else if let Some(other) = before.iter().find(|other| overlap(other, target)) {
                self.mistakes.add(&here, format!("{other:?} is a value, so it cannot have members, too"));
            }
            before.push(target);
        }
    }

    fn computed(
        &mut self,
        at: &str,
        target: &str,
        source: &str,
        aggregate: &model::Aggregate,
    ) -> Option<Computed> {
        let compiled = Expression::compile(source, Limits::default()).map_err(|error| error.to_string());
        let expression = self.mistakes.take(at, compiled)?;
        let parts = || aggregate.parts.keys().map(String::as_str);
        for variable in expression.variables().iter().filter(|v| !aggregate.parts.contains_key(&v.name)) {
            let known = parts().collect::<Vec<_>>().join(", ");
            let hint = hint(&variable.name, parts());
            let message =
                format!("at {}: {:?} is not a part (parts: {known}){hint}", variable.position, variable.name);
            self.mistakes.add(at, message);
        }
        Some(Computed { target: target.into(), expression })
    }
}

/// Whether one target is the other, or lies inside it.
fn overlap(a: &str, b: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    inside(a, b) || inside(b, a)
}
