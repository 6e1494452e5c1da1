//! The door with its sockets open, over a registry that runs.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod sockets;
mod support;
mod tools;
