//! What clients read: the registry's and the configuration's records in Consul's JSON.

mod addresses;
mod check;
mod instance;
mod kv;
mod mesh;
mod node;
mod session;

pub(crate) use addresses::write_address;
pub(crate) use check::{CheckRow, checks_of, node_checks, worst};
pub(crate) use instance::{AgentService, CatalogRow, HealthRow, NodeService};
pub(crate) use kv::KvRow;
pub(crate) use node::NodeRow;
pub(crate) use session::SessionRow;
