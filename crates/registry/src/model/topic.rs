//! What can be waited for.

use super::check::CheckStatus;
use super::names::{Name, Namespace, ServiceKey};

/// Something with an index of its own, which grows exactly when that changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// The instances of a service: definitions, statuses, checks, and their nodes. Not the output of checks.
    Service(ServiceKey),
    /// The services of a namespace and their tags.
    Services(Namespace),
    /// The nodes.
    Nodes,
    /// A node, its checks, and the instances on it.
    Node(Name),
    /// The checks of a node and of the instances on it.
    NodeChecks(Name),
    /// The checks of a service's instances.
    ChecksOfService(ServiceKey),
    /// All checks with this status, or all if there is none.
    State(Option<CheckStatus>),
    /// The platform's own node: its instances and checks.
    Agent,
    /// Any change of anything.
    All,
}
