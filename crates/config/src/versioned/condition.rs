//! A condition over the instance that asks, in CEL.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use trellis_expr::{Expression, Limits};

use super::gray::Instance;
use crate::error::{Error, Result};

/// It is evaluated for each instance that asks, so it may cost little.
const LIMITS: Limits = Limits { max_source_bytes: 1024, max_steps: 10_000 };

/// The variables there are.
const VARIABLES: [&str; 2] = ["instance", "labels"];

/// An expression that holds for an instance or does not: over `instance.id` and `labels`, such as
/// `instance.id.startsWith("orders-") && labels.zone in ["a", "b"]`. One that cannot be evaluated, since a label is not
/// there for instance, does not hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Condition {
    source: String,
    /// `None`: it cannot be compiled. It was checked when it came in, by a version that could.
    #[serde(skip)]
    compiled: OnceLock<Option<Arc<Expression>>>,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Condition {}

impl Condition {
    /// A condition that is yet to be checked; the write that brings it does so.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), compiled: OnceLock::new() }
    }

    /// Its text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Refuses what cannot be compiled, looks at what is not there, or is neither true nor false.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |text: String| Err(Error::invalid("/rule/when", text));
        let expression = match Expression::compile(&self.source, LIMITS) {
            Ok(expression) => expression,
            Err(error) => return refuse(format!("the condition is no CEL: {error}")),
        };
        if let Some(unknown) = expression.variables().iter().find(|v| !VARIABLES.contains(&v.name.as_str())) {
            return refuse(format!(
                "at {}: {:?} is not there: a condition sees `instance.id` and `labels`",
                unknown.position, unknown.name
            ));
        }
        // What it gives for one instance tells its type; that it fails for this one says nothing about others.
        match evaluate(&expression, &Instance::default()) {
            Some(value) if !value.is_boolean() => refuse("a condition is true or false".into()),
            _ => {
                let _ = self.compiled.set(Some(Arc::new(expression)));
                Ok(())
            }
        }
    }

    /// Whether it holds for this instance.
    pub(super) fn holds(&self, instance: &Instance) -> bool {
        let compile = || Expression::compile(&self.source, LIMITS).ok().map(Arc::new);
        let expression = self.compiled.get_or_init(compile).as_deref();
        expression.and_then(|expression| evaluate(expression, instance)) == Some(true.into())
    }
}

fn evaluate(expression: &Expression, instance: &Instance) -> Option<serde_json::Value> {
    let variables = Map::from_iter([
        ("instance".to_owned(), json!({ "id": instance.id })),
        ("labels".to_owned(), json!(instance.labels)),
    ]);
    expression.evaluate(&variables).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(id: &str, zone: &str) -> Instance {
        Instance { id: id.into(), labels: [("zone".into(), zone.into())].into() }
    }

    #[test]
    fn it_looks_at_the_id_and_the_labels() {
        let when = Condition::new("instance.id.startsWith('orders-') && labels.zone in ['a', 'b']");
        when.check().unwrap();
        assert!(when.holds(&instance("orders-1", "b")));
        assert!(!when.holds(&instance("orders-1", "c")) && !when.holds(&instance("users-1", "a")));
        assert!(!when.holds(&Instance::default()), "a label that is not there");
        // As it comes back from the database: not compiled yet.
        let read: Condition = serde_json::from_str(&serde_json::to_string(&when).unwrap()).unwrap();
        assert!(read == when && read.holds(&instance("orders-1", "b")));
    }

    #[test]
    fn what_is_wrong_is_refused_with_the_place() {
        let long = format!("labels.a == '{}'", "x".repeat(2000));
        for (source, part) in [
            ("labels.zone ==", "no CEL"),
            ("label.zone == 'a'", "`instance.id` and `labels`"),
            ("labels.size()", "true or false"),
            ("'yes'", "true or false"),
            ("", "no CEL"),
            (&long, "bytes"),
        ] {
            let error = Condition::new(source).check().unwrap_err();
            assert!(
                matches!(&error, Error::Invalid { pointer, detail } if pointer == "/rule/when" && detail.contains(part)),
                "{source}: {error:?}"
            );
        }
    }

    #[test]
    fn one_that_costs_too_much_does_not_hold() {
        let list = format!("[{}]", vec!["1"; 200].join(","));
        let when = Condition::new(format!("{list}.all(a, {list}.all(b, a == b))"));
        when.check().unwrap();
        assert!(!when.holds(&instance("orders-1", "a")), "forty thousand steps");
    }
}
