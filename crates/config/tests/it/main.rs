//! The configuration on real databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod adoption;
mod child;
mod clock;
mod conformance;
mod crash;
mod door;
mod locks;
mod partition;
mod support;
mod tidy;
