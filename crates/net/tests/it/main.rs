//! The crate against real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod choosing;
mod cluster;
mod health;
mod limits;
mod outliers;
mod retries;
mod secured;
mod serving;
mod support;
