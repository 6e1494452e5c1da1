//! The fixtures themselves, against the real programs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod platform;
mod postgres;
mod redis;
mod smtp;
