//! The door over the real registry and configuration, each on a database of its own.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod agent;
mod aliases;
mod blocking;
mod catalog;
mod clients;
mod entries;
mod keys;
mod members;
mod mesh;
mod refusals;
mod support;
