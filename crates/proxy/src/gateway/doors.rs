//! What a gateway listens on.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};
use trellis_core::error::chain;
use trellis_core::{Error, codes};
use trellis_net::tls::ServerTls;
use trellis_net::{Server, serve, tcp};
use trellis_runtime::Shutdown;

use super::worker::{Door, Worker};

/// The sockets of a gateway, bound by whoever runs it.
#[derive(Debug)]
pub struct Doors {
    /// For HTTP in the clear.
    pub plain: TcpListener,
    /// For HTTP over TLS.
    pub tls: Option<TlsDoor>,
    /// For each `[[tcp]]` of the table, in its order.
    pub tcp: Vec<TcpListener>,
}

/// A socket whose connections begin with TLS.
#[derive(Debug)]
pub struct TlsDoor {
    /// The socket.
    pub listener: TcpListener,
    /// What is shown to clients.
    pub tls: Arc<ServerTls>,
    /// How often files are looked at for changes.
    pub reload: Duration,
}

/// One worker's share of them.
pub(super) struct Share {
    plain: (Server<Door>, std::net::TcpListener),
    tls: Option<(Server<Door>, std::net::TcpListener)>,
    tcp: Vec<(Arc<Semaphore>, std::net::TcpListener)>,
}

impl Doors {
    /// One share for each of `workers`: each accepts from every socket.
    pub(super) fn shares(self, workers: &[Arc<Worker>]) -> Result<Vec<Share>, Error> {
        let Some(shared) = workers.first().map(|worker| Arc::clone(&worker.shared)) else {
            return Ok(Vec::new());
        };
        let server = Server::new((), shared.options.serve.clone());
        let door = |index: usize| Door(Arc::clone(&workers[index]));
        let plain = server.for_workers(workers.len(), door);
        let mut plain = plain.into_iter().zip(copies(self.plain, workers.len())?);
        let tls = match self.tls {
            None => Vec::new(),
            Some(TlsDoor { listener, tls, .. }) => {
                let servers = server.over_tls(tls).for_workers(workers.len(), door);
                servers.into_iter().zip(copies(listener, workers.len())?).collect()
            }
        };
        let mut tls = tls.into_iter();
        let slots: Vec<_> = shared
            .live
            .load()
            .table
            .tcp
            .iter()
            .map(|route| Arc::new(Semaphore::new(route.max_connections as usize)))
            .collect();
        let mut tcp: Vec<Vec<_>> = workers.iter().map(|_| Vec::new()).collect();
        for (slots, listener) in slots.iter().zip(self.tcp) {
            for (share, listener) in tcp.iter_mut().zip(copies(listener, workers.len())?) {
                share.push((Arc::clone(slots), listener));
            }
        }
        let share = |tcp| Some(Share { plain: plain.next()?, tls: tls.next(), tcp });
        Ok(tcp.into_iter().filter_map(share).collect())
    }
}

impl Share {
    /// Serves them until `shutdown`, on the runtime that this is called on.
    pub(super) async fn run(self, worker: Arc<Worker>, shutdown: Shutdown) -> Result<(), Error> {
        let (server, listener) = self.plain;
        let plain = server.run(to_tokio(listener)?, shutdown.clone());
        let tls = match self.tls {
            None => None,
            Some((server, listener)) => Some(server.run(to_tokio(listener)?, shutdown.clone())),
        };
        let tls = async {
            match tls {
                Some(serving) => serving.await,
                None => Ok(()),
            }
        };
        let mut tcp = Vec::new();
        for (index, (slots, listener)) in self.tcp.into_iter().enumerate() {
            tcp.push(carry_tcp(Arc::clone(&worker), index, to_tokio(listener)?, slots, shutdown.clone()));
        }
        // The servers know nothing any more of what does not speak HTTP.
        let tunnels = async {
            shutdown.triggered().await;
            worker.tunnels.end(worker.shared.options.serve.drain).await;
            Ok(())
        };
        let serving = async {
            let tcp = async { Ok::<_, Error>(futures_util::future::join_all(tcp).await) };
            // If one fails, the others are not waited for.
            tokio::try_join!(plain, tls, tcp, tunnels).map(drop)
        };
        tokio::select! {
            served = serving => served,
            () = worker.sweep() => Ok(()),
        }
    }
}

/// Looks for changed certificates, for ever.
pub(super) async fn reload(tls: Arc<ServerTls>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_known = false;
    loop {
        ticks.tick().await;
        let reading = Arc::clone(&tls);
        match tokio::task::spawn_blocking(move || reading.reload()).await {
            Ok(Ok(true)) => info!("certificates have changed; new connections are shown the new ones"),
            Ok(Ok(false)) => {}
            // Told once; half-written files are often whole the next time.
            Ok(Err(error)) if !is_known => {
                is_known = true;
                warn!(error = chain(&error), "changed certificates cannot be used; the old ones stay");
                continue;
            }
            Ok(Err(_)) => continue,
            Err(error) => warn!(%error, "certificates were not looked at"),
        }
        is_known = false;
    }
}

/// Connections of one `[[tcp]]`. Which cluster they lead to is looked up for each, so that a new table holds for new
/// connections.
async fn carry_tcp(
    worker: Arc<Worker>,
    index: usize,
    listener: TcpListener,
    slots: Arc<Semaphore>,
    shutdown: Shutdown,
) {
    let drain = worker.shared.options.serve.drain;
    serve::serve_raw(listener, slots, drain, shutdown, move |client, peer| {
        let worker = Arc::clone(&worker);
        async move {
            let live = worker.snapshot();
            let Some(route) = live.table.tcp.get(index) else { return };
            let cluster = &live.clusters[route.upstream];
            match cluster.connect(worker.index, route.connect_timeout).await {
                Ok((upstream, _counted)) => {
                    if let Err(error) = tcp::carry(client, upstream, route.idle_timeout).await {
                        debug!(%peer, %error, "a TCP connection ended");
                    }
                }
                Err(error) => warn!(%peer, route = route.origin, error = chain(&error), "no connection"),
            }
        }
    })
    .await;
}

/// One socket for each worker to accept from; the kernel hands a connection to whoever takes it.
fn copies(listener: TcpListener, count: usize) -> Result<Vec<std::net::TcpListener>, Error> {
    let first = listener.into_std().map_err(cannot_share)?;
    (0..count).map(|_| first.try_clone().map_err(cannot_share)).collect()
}

fn to_tokio(listener: std::net::TcpListener) -> Result<TcpListener, Error> {
    TcpListener::from_std(listener).map_err(cannot_share)
}

fn cannot_share(error: std::io::Error) -> Error {
    Error::new(codes::CANNOT_LISTEN, "a listener cannot be shared among the workers").because(error)
}
