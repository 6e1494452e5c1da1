//! The service registry: which instances there are, which of them may take traffic, and whoever wants to know at once.
//!
//! Instances belong to a service of a namespace, and to a node; checks belong to an instance or a node. What is
//! registered and what an operator says is on disk before the call returns. Liveness (heartbeats) is kept in memory and
//! never touches the disk; statuses that change by themselves are written down behind, so that a restart finds them as
//! they were. What counts is the operator's override, else maintenance, else the checks, else what was reported and
//! whether the lease runs.
//!
//! Reads and watches work on immutable snapshots, made when first asked for and shared. One number counts all changes;
//! each topic (a service, a node, the list of services, the checks of some status) has the number of its own last
//! change, so that who waits for one thing is not woken for another, nor by another output of a check.
//!
//! An instance whose lease ends is shown as DOWN for [`Options::keep_expired`], so that people see what happened, and
//! comes back if it renews in that time; then it is removed. If too many leases of one service end at once they are not
//! believed for a while ([`ProtectionOptions`]).

mod broadcast;
mod door;
mod error;
mod file;
mod follow;
mod handle;
mod joint;
mod model;
mod options;
mod orders;
mod policy;
mod prober;
mod registration;
mod rows;
mod runner;
mod service;
mod shared;
mod state;
mod stats;
mod table;
mod topics;
mod view;
mod watches;
mod writer;

pub use door::{at_once, openapi, router};
pub use error::{Error, Fault, Result};
pub use handle::Handle;
pub use handle::members::MemberNode;
pub use model::check::{
    CheckAnswer, CheckDefinition, CheckKind, CheckStatus, CheckTls, CheckView, CommandCheck,
    DEFAULT_CHECK_TIMEOUT, GrpcCheck, HttpCheck, MAX_OUTPUT, MIN_DEREGISTER_AFTER, NODE_CHECK,
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
pub use prober::{Asked, NetProber, Prober};
pub use registration::{
    Lease, MAX_LEASE, MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE, MAX_TAG, MAX_VERSION, MAX_WEIGHT,
    MAX_ZONE, MIN_LEASE, Registration, Weights,
};
pub use service::Service;
pub use stats::Stats;
pub use trellis_net::Cached;
pub use view::{InstanceView, OverrideView, ServiceSummary, Target};
