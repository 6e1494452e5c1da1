//! The door that speaks Consul's HTTP API: services and health from the registry, keys, locks and sessions from the
//! configuration.
//!
//! It spans two capabilities, so it is a crate of its own: they stay free of protocols, and of each other. It translates
//! and holds no rule. All that it keeps itself are the last user events and the coordinates of nodes, in memory.
//!
//! What Consul does and Trellis does otherwise is in `docs/consul.md`.

mod acl;
mod agent;
mod answer;
mod catalog;
mod coordinate;
mod door;
mod entries;
mod event;
mod filter;
mod health;
mod itself;
mod kept;
mod kv;
mod labels;
mod mesh;
mod operator;
mod options;
mod platform;
mod refusal;
mod request;
mod servers;
mod session;
mod source;
mod status;
mod txn;
mod unsupported;
mod wire;

pub use door::router;
pub use options::Options;
pub use platform::{Platform, Reload};
