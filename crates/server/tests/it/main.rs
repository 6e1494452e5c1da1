//! Integration tests: the binary as its users have it, and the rules of the workspace.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod admin;
mod cli;
mod config;
mod crash;
mod full_disk;
mod gateway;
mod manifest;
mod mesh;
mod refusals;
mod standard;
mod stop;
mod support;
mod together;
mod unread;
mod up;
