//! The door as clients see it, over a registry that runs.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod clients;
mod operations;
mod refusals;
mod shapes;
mod support;
