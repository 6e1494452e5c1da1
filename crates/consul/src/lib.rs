//! The door that speaks Consul's HTTP API: services and health from the registry, keys, locks and sessions from the
//! configuration.
//!
//! It spans two capabilities, so it is a crate of its own: they stay free of protocols, and of each other. It translates
//! and holds no rule. The only thing that it keeps are the last user events, which nobody else knows of.
//!
//! What Consul does and Trellis does otherwise is in `docs/consul.md`.

mod acl;
mod agent;
mod answer;
mod catalog;
mod door;
mod event;
mod filter;
mod health;
mod kv;
mod operator;
mod options;
mod refusal;
mod request;
mod session;
mod status;
mod txn;
mod unsupported;
mod wire;

pub use door::router;
pub use options::Options;
