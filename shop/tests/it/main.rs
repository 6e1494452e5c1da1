//! The whole shop on the whole platform, through the gateway: in every phase and on both databases.
//!
//! Needs the programs: `cargo build -p trellis -p shop`.

mod crash;
mod dashboard;
mod errors;
mod grpc;
mod inventory;
mod kinds;
mod mesh;
mod notifications;
mod orders;
mod payments;
mod python;
mod users;
