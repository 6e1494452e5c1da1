//! One request, many services: parts are fetched at the same time and put into one JSON object, with members computed
//! from them. A part that fails is null and named in `errors`; only when all fail does the request.

mod answer;
mod fetch;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::Duration;

use http::uri::PathAndQuery;
use trellis_expr::Expression;

pub(crate) use answer::{Answer, assemble};
pub(crate) use fetch::{Failure, Fetched, read_part};

/// A compiled aggregation.
#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) parts: Vec<Part>,
    pub(crate) computed: Vec<Computed>,
    /// Parts that some expression looks into; the others are passed on unread.
    inputs: HashSet<String>,
}

/// What is fetched.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) upstream: usize,
    pub(crate) get: PathAndQuery,
    /// Longest wait for the whole answer.
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: u64,
}

/// What is computed.
#[derive(Debug)]
pub(crate) struct Computed {
    /// Names with dots between them.
    pub(crate) target: String,
    pub(crate) expression: Expression,
}

impl Aggregate {
    pub(crate) fn new(parts: Vec<Part>, computed: Vec<Computed>) -> Self {
        let is_used = |part: &&Part| computed.iter().any(|c: &Computed| c.expression.uses(&part.name));
        let inputs = parts.iter().filter(is_used).map(|part| part.name.clone()).collect();
        Self { parts, computed, inputs }
    }

    pub(crate) fn is_input(&self, part: &str) -> bool {
        self.inputs.contains(part)
    }
}
