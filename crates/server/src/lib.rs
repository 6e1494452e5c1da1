//! The platform: control, gateway and sidecar role, admin API, command line.

pub mod admin;
pub mod cli;
mod database;
mod door_counts;
mod doors;
pub mod gateway;
pub mod logging;
pub mod manifest;
pub mod mesh;
pub mod proxy;
mod secrets;
pub mod settings;
pub mod traffic;
pub mod up;

/// Version of the platform.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
