//! Tasks that are drained, a shutdown signal, the wall clock and health checks: what every long-running part needs.

mod clock;
pub mod health;
mod shutdown;
mod tasks;
pub mod workers;

pub use clock::WallClock;
pub use shutdown::Shutdown;
pub use tasks::{TaskKind, Tasks};
