//! What can be set.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use trellis_core::model;

/// Where the door is, what it calls things, and how much it takes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address for questions, over UDP and TCP. Port 0: some port, the same for both.
    pub listen: SocketAddr,
    /// What all names end with. Whoever asks for anything else is refused: this is no resolver.
    pub domain: String,
    /// What this platform is called in names that say where to look.
    pub datacenter: String,
    /// How long an answer about a node may be kept.
    pub node_ttl: Duration,
    /// How long an answer about a service may be kept.
    pub service_ttl: Duration,
    /// The same for single services, by name in any case.
    pub service_ttls: BTreeMap<String, Duration>,
    /// What the domain says of itself.
    pub soa: Soa,
    /// Leave out instances with a warning, too; otherwise only those that may not take traffic are left out.
    pub only_passing: bool,
    /// Most answers over UDP to those who do not say by EDNS how much they can take; 0 is as many as fit. What this
    /// leaves out does not set the flag for truncation: it is a wish, not a want of room.
    pub udp_answer_limit: usize,
    /// Largest answer over UDP, in bytes, whatever is asked for. More than 1232 may be lost in fragments.
    pub max_udp_bytes: u16,
    /// Largest question, in bytes. A longer datagram is dropped, and a connection that announces one is closed.
    pub max_query_bytes: u16,
    /// Tasks that read and answer datagrams, which is how many are answered at once. The others wait in the socket.
    pub udp_tasks: usize,
    /// Most connections at once; more are closed. Questions of one connection are answered one after the other.
    pub max_connections: usize,
    /// Longest wait for the next question on a connection to arrive, and for an answer to be taken.
    pub idle_timeout: Duration,
    /// Most instances and nodes that are looked at for one answer. A service with more is answered from as many,
    /// chosen anew each time.
    pub max_examined: usize,
    /// Longest wait for answers under way when stopping.
    pub drain: Duration,
}

/// The start of authority: for secondaries, of which there are none, and for those who keep that there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Soa {
    /// How often a secondary looks for changes.
    pub refresh: Duration,
    /// After how long it tries again.
    pub retry: Duration,
    /// After how long it gives up.
    pub expire: Duration,
    /// How long it may be kept that there is no such name, or nothing of that type.
    pub negative_ttl: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self::from(&model::Dns::default())
    }
}

impl Default for Soa {
    /// As in Consul.
    fn default() -> Self {
        Self {
            refresh: Duration::from_hours(1),
            retry: Duration::from_mins(10),
            expire: Duration::from_hours(24),
            negative_ttl: Duration::ZERO,
        }
    }
}

impl From<&model::Dns> for Options {
    fn from(model: &model::Dns) -> Self {
        Self {
            listen: model.listen,
            domain: model.domain.clone(),
            datacenter: model.datacenter.clone(),
            node_ttl: model.node_ttl.0,
            service_ttl: model.service_ttl.0,
            service_ttls: model.service_ttls.iter().map(|(name, ttl)| (name.clone(), ttl.0)).collect(),
            soa: Soa { negative_ttl: model.negative_ttl.0, ..Soa::default() },
            only_passing: model.only_passing,
            udp_answer_limit: size(model.udp_answer_limit),
            max_udp_bytes: model.max_udp_bytes,
            max_query_bytes: 4096,
            udp_tasks: size(model.udp_tasks),
            max_connections: size(model.max_connections),
            idle_timeout: model.idle_timeout.0,
            max_examined: size(model.max_examined),
            drain: Duration::from_secs(2),
        }
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
