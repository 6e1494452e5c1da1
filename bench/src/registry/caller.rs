//! One client of one registry, whichever it is.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::act::Act;
use super::doors::{Consul, Dns, Door, Etcd, Eureka, Trellis};
use super::servers::Peer;
use crate::connection::Connection;

/// Longest wait for one answer.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// A connection that is kept, and used for one call after the other.
pub(super) enum Caller {
    Http { address: SocketAddr, door: &'static dyn Door, connection: Option<Connection> },
    Etcd(Box<Etcd>),
    Dns(Dns),
}

/// A way to ask ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Native,
    Consul,
    Eureka,
    Dns,
}

impl Way {
    /// All.
    pub(super) const ALL: [Self; 4] = [Self::Native, Self::Consul, Self::Eureka, Self::Dns];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Native => "native API",
            Self::Consul => "Consul",
            Self::Eureka => "Eureka",
            Self::Dns => "DNS",
        }
    }
}

impl Caller {
    /// Connects to `peer`, which listens on `address`.
    pub(super) async fn connect(peer: Peer, address: SocketAddr) -> Result<Self> {
        let Some(door) = peer.door() else {
            return Ok(Self::Etcd(Box::new(Etcd::connect(address).await?)));
        };
        Ok(Self::Http { address, door, connection: Some(open(address).await?) })
    }

    /// A client of ours, of the door at `address`. It connects when it is first used, and again when its connection broke.
    pub(super) fn ours(way: Way, address: SocketAddr) -> Self {
        let door: &'static dyn Door = match way {
            Way::Native => &Trellis,
            Way::Consul => &Consul,
            Way::Eureka => &Eureka,
            Way::Dns => return Self::Dns(Dns::new(address)),
        };
        Self::Http { address, door, connection: None }
    }

    /// Asks, and waits for a good answer.
    pub(super) async fn call(&mut self, act: Act) -> Result<()> {
        let answered = tokio::time::timeout(ANSWER_LIMIT, self.ask(act)).await;
        answered.unwrap_or_else(|_| Err(anyhow!("no answer in {ANSWER_LIMIT:?}")))
    }

    async fn ask(&mut self, act: Act) -> Result<()> {
        match self {
            Self::Etcd(etcd) => etcd.call(act).await,
            Self::Dns(dns) => match act {
                Act::Discover(service) => dns.discover(service).await,
                _ => Err(anyhow!("{act:?}: DNS only tells")),
            },
            Self::Http { address, door, connection } => {
                let mut used = match connection.take() {
                    Some(kept) => kept,
                    None => open(*address).await?,
                };
                let answer = used.exchange(door.request(act).as_bytes()).await.map_err(broken)?;
                if !answer.is_last {
                    *connection = Some(used);
                }
                door.judge(act, &answer).map_err(|reason| anyhow!("{act:?}: {reason}"))
            }
        }
    }
}

async fn open(address: SocketAddr) -> Result<Connection> {
    Connection::open(address).await.map_err(broken)
}

pub(super) fn broken(broken: impl Display) -> anyhow::Error {
    anyhow!("{broken}")
}
