//! Nodes: what instances run on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::check::{CheckStatus, CheckView};
use super::labels::Labels;
use super::names::Name;

/// A node announces itself, or is announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRegistration {
    /// What it is called.
    pub name: Name,
    /// An id that outlives its name (Consul's node id, a UUID), if it has one.
    pub id: Option<Arc<str>>,
    /// Where it is reached: a host name or an address.
    pub address: Arc<str>,
    /// Its address by network: `lan`, `wan`, `lan_ipv4` and the like.
    pub tagged_addresses: Labels,
    /// Free labels.
    pub metadata: Labels,
}

/// A node and its checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What was registered.
    pub definition: Arc<NodeRegistration>,
    /// Whether it is the platform's own, on which instances are that name no other.
    pub is_own: bool,
    /// Checks of the node itself, in the order of their ids.
    pub checks: Arc<[Arc<CheckView>]>,
    /// An operator took it out, and said why.
    pub maintenance: Option<Arc<str>>,
    /// The index at which it was registered.
    pub create_index: u64,
    /// The index at which it, or one of its checks, last changed.
    pub modify_index: u64,
}

impl NodeRegistration {
    /// A node with a name and an address and nothing else.
    pub fn new(name: Name, address: impl Into<Arc<str>>) -> Self {
        Self {
            name,
            id: None,
            address: address.into(),
            tagged_addresses: Labels::default(),
            metadata: Labels::default(),
        }
    }
}

impl Node {
    /// What it is called.
    pub fn name(&self) -> &Name {
        &self.definition.name
    }

    /// The worst that its checks say.
    pub fn health(&self) -> CheckStatus {
        if self.maintenance.is_some() {
            return CheckStatus::Critical;
        }
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Passing)
    }
}
