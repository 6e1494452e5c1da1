//! The service registry: which instances there are, which of them may take traffic, and whoever wants to know at once.
//!
//! Liveness (registrations, heartbeats, reports) is kept in memory and never touches the disk. What an operator says
//! (an override, for an instance or a whole service) is kept apart from it, is durable before the call returns, and
//! wins. Reads and watches work on immutable snapshots, one revision for each service, which grows only when its
//! endpoint set is really another one.
//!
//! An instance whose lease ends is shown as DOWN for [`Options::keep_expired`], so that people see what happened, and
//! comes back if it renews in that time; then it is removed.

mod door;
mod error;
mod handle;
mod model;
mod options;
mod override_store;
mod registration;
mod service;
mod shared;
mod state;
mod stats;
mod view;
mod watches;

pub use door::{openapi, router};
pub use error::{Error, Fault, Result};
pub use handle::{Cached, Handle};
pub use model::check::{
    CheckDefinition, CheckKind, CheckStatus, CheckTls, CheckView, CommandCheck, DEFAULT_CHECK_TIMEOUT, GrpcCheck,
    HttpCheck, MAX_OUTPUT, MIN_DEREGISTER_AFTER, NODE_CHECK,
};
pub use model::instance::{Definition, Instance};
pub use model::labels::{Labels, Tags};
pub use model::names::{
    CheckKey, CheckOwner, InstanceKey, InvalidName, MAX_NAME, Name, Namespace, ServiceKey,
};
pub use model::node::{Node, NodeRegistration};
pub use model::snapshot::{
    Catalog, Change, ChangeKind, Changes, Checks, Entry, NodeSnapshot, Nodes, ServiceSnapshot,
};
pub use model::topic::Topic;
pub use options::{Options, ProtectionOptions};
pub use registration::{
    Lease, MAX_LEASE, MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE, MAX_TAG, MAX_VERSION, MAX_WEIGHT,
    MAX_ZONE, MIN_LEASE, Registration, Weights,
};
pub use service::Service;
pub use stats::Stats;
pub use view::{InstanceView, OverrideView, ServiceSummary, Target};
