//! The configuration on real databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod child;
mod conformance;
mod crash;
mod locks;
mod support;
