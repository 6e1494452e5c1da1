//! The SDK against the real platform.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod config;
mod relay;
