//! One suite for both databases, and what only one of them has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod child;
mod conformance;
mod members;
mod nodes;
mod postgres;
mod sqlite;
mod support;
