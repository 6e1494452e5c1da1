//! Configuration, in two faces on one engine.
//!
//! *Versioned configuration*: keys of an app and an environment, with history, rollback, compare-and-set, transactions,
//! JSON Schema, gray release, secrets and audit. *Key-value*: keys, sessions, locks and transactions with the semantics
//! of Consul's, for programs that speak its protocol.
//!
//! Every change is decided inside an ordered transaction of the store and has a revision; changes that wait share one.
//! Reads and watches look at an immutable snapshot in memory and never touch the database. A lock is therefore never held twice, whatever crashes,
//! and its `lock_index` is a fencing token.

mod adoption;
mod cells;
mod changes;
mod door;
mod engine;
mod error;
mod handle;
mod housekeeping;
mod journal;
pub mod kv;
mod options;
mod reading;
mod service;
mod snapshot;
mod topics;
pub mod versioned;

pub use door::{at_once, openapi, router};
pub use error::{Error, Result};
pub use handle::Handle;
pub use options::Options;
pub use service::Service;
