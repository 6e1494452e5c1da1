//! The members of the store, as Consul's clients know servers.

use std::sync::Arc;

use trellis_registry::{MemberNode, Name};

use crate::door::Door;

/// A process that shares the store. Consul's clients are told its admin API where they expect a server's own protocol:
/// there members are reached by each other. The one that answers leads, as far as they are concerned: any member does
/// what is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) known: MemberNode,
    pub(crate) port: u16,
}

impl Server {
    /// Another for every start.
    pub(crate) fn id(&self) -> &Arc<str> {
        &self.known.member.node_id
    }

    pub(crate) fn name(&self) -> &Name {
        self.known.node.name()
    }

    pub(crate) fn host(&self) -> &str {
        &self.known.node.definition.address
    }

    /// Address and port.
    pub(crate) fn address(&self) -> String {
        let (host, port) = (self.host(), self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl Door {
    /// Everybody who shares the store, by name.
    pub(crate) fn servers(&self) -> Vec<Server> {
        let port = |address: &str| address.trim_end_matches('/').rsplit_once(':')?.1.parse().ok();
        let server = |known: MemberNode| Server {
            port: port(&known.member.address).unwrap_or_else(|| self.options.listen.port()),
            known,
        };
        self.registry.member_nodes().into_iter().map(server).collect()
    }

    /// What clients are told where they ask for the leader.
    pub(crate) fn leader(&self) -> String {
        self.servers().iter().find(|server| server.known.is_own).map(Server::address).unwrap_or_default()
    }
}
