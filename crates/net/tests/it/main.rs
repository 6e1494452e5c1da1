//! The crate against real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod cluster;
mod serving;
mod support;
