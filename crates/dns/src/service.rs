//! The door as a component: bound, then run until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, UdpSocket};
use tracing::info;
use trellis_core::error::Result as CoreResult;
use trellis_registry::Handle as Registry;
use trellis_runtime::{Shutdown, TaskKind, Tasks, WallClock};

use crate::answer::{Outcome, Transport, answer};
use crate::error::Error;
use crate::options::Options;
use crate::stats::{Counters, Stats};
use crate::zone::Zone;
use crate::{tcp, udp};

/// The setting that the address comes from.
const SETTING: &str = "dns.listen";
/// How often another port is tried if the one that was free for TCP is taken for UDP.
const PORTS: usize = 16;

/// The door with its sockets, before and while it runs.
pub struct Service {
    shared: Arc<Shared>,
    datagrams: UdpSocket,
    connections: TcpListener,
}

/// The door, for everyone but itself.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What all tasks of the door have in common.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) counters: Counters,
    zone: Zone,
    registry: Registry,
    clock: WallClock,
    address: SocketAddr,
}

/// Checks what is set and binds both sockets to the same port. Questions wait in them until the service runs.
pub async fn bind(
    options: Options,
    registry: Registry,
    clock: WallClock,
) -> Result<(Service, Handle), Error> {
    let zone = Zone::new(&options)?;
    let (datagrams, connections, address) = sockets(options.listen).await.map_err(Error::Listen)?;
    let counters = Counters::default();
    let shared = Arc::new(Shared { options, counters, zone, registry, clock, address });
    let handle = Handle { shared: shared.clone() };
    Ok((Service { shared, datagrams, connections }, handle))
}

async fn sockets(listen: SocketAddr) -> CoreResult<(UdpSocket, TcpListener, SocketAddr)> {
    let mut left = if listen.port() == 0 { PORTS } else { 1 };
    loop {
        left -= 1;
        let connections = trellis_net::bind(SETTING, listen).await?;
        let address = trellis_net::local_address(&connections)?;
        match trellis_net::bind_udp(SETTING, address).await {
            Ok(datagrams) => return Ok((datagrams, connections, address)),
            Err(error) if left == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

impl Service {
    /// Answers until told to stop, and finishes what is under way.
    pub async fn run(self, shutdown: Shutdown) -> CoreResult<()> {
        let Self { shared, datagrams, connections } = self;
        info!(address = %shared.address, domain = %shared.zone.domain, "answers DNS");
        let drain = shared.options.drain;
        let tasks = Tasks::new(shutdown.clone());
        let datagrams = Arc::new(datagrams);
        for _ in 0..shared.options.udp_tasks.max(1) {
            let work = udp::serve(datagrams.clone(), shared.clone(), shutdown.clone());
            tasks.spawn("dns udp", TaskKind::Essential, work);
        }
        tasks.spawn("dns tcp", TaskKind::Essential, tcp::serve(connections, shared, shutdown));
        tasks.join(drain).await
    }
}

impl Handle {
    /// Where the door is, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// What it has done.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }
}

impl Shared {
    /// Answers a packet and counts it. Never waits. Whether there is an answer in `out`.
    pub(crate) fn answer(
        &self,
        packet: &[u8],
        transport: Transport,
        random: &mut fastrand::Rng,
        out: &mut Vec<u8>,
    ) -> bool {
        let unix_s = u32::try_from(self.clock.unix_millis() / 1000).unwrap_or_default();
        let outcome = answer(packet, transport, &self.zone, &self.registry, unix_s, random, out);
        self.counters.count(outcome);
        outcome != Outcome::Dropped
    }
}
