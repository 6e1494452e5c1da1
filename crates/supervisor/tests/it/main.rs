//! The supervisor with real processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fleet;
mod logs;
mod mistakes;
mod orphans;
mod restart;
mod sockets;
mod start;
mod stop;
mod system;
