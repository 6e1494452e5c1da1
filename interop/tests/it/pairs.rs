//! Who talks to whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use tonic::transport::{Channel, Endpoint};
use trellis_testkit::{Gateway, wait_until};

use crate::proto::test_service_client::TestServiceClient;
use crate::python;

/// Long enough for anything on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Shorter than some answers take as a whole.
const BEGINS_WITHIN: &str = "1s";
/// What ends these is the client. All others run to their end.
const CUT_SHORT: [&str; 3] =
    ["cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server"];

/// A test of each of these functions for each pair.
macro_rules! in_every_pair {
    ($($case:ident),* $(,)?) => {
        mod tonic_to_tonic {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() -> anyhow::Result<()> {
                let world = $crate::pairs::World::new($crate::server::start().await?).await?;
                super::$case(&world).await?;
                world.end(stringify!($case)).await
            })*
        }
        mod tonic_to_grpcio {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() -> anyhow::Result<()> {
                let world = $crate::pairs::World::new($crate::python::server().await?).await?;
                super::$case(&world).await?;
                world.end(stringify!($case)).await
            })*
        }
        mod grpcio_to_tonic {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() -> anyhow::Result<()> {
                let world = $crate::pairs::World::new($crate::server::start().await?).await?;
                world.grpcio(stringify!($case)).await?;
                world.end(stringify!($case)).await
            })*
        }
    };
}
pub(crate) use in_every_pair;

/// A server that is about to be called.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) seen: Arc<Seen>,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

/// What a server has seen of its calls.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    begun: AtomicUsize,
    cancelled: AtomicUsize,
}

/// A server behind a gateway.
pub(crate) struct World {
    server: Server,
    gateway: Gateway,
}

impl Seen {
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.fetch_add(1, Ordering::SeqCst);
    }

    fn cancelled(&self) -> usize {
        self.cancelled.load(Ordering::SeqCst)
    }

    async fn has_begun(&self) -> Result<()> {
        wait_until("a call has begun", PATIENCE, async || self.begun.load(Ordering::SeqCst) > 0).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    pub(crate) async fn new(server: Server) -> Result<Self> {
        let gateway = Gateway::start(&manifest(&server.address)).await?;
        Ok(Self { server, gateway })
    }

    /// tonic's client.
    pub(crate) fn tonic(&self) -> impl Future<Output = Result<TestServiceClient<Channel>>> + Send + use<> {
        let channel = self.channel();
        async { Ok(TestServiceClient::new(channel.await?)) }
    }

    pub(crate) fn channel(&self) -> impl Future<Output = Result<Channel>> + Send + use<> {
        connect(&self.gateway)
    }

    /// Runs this case with grpcio's client.
    pub(crate) async fn grpcio(&self, case: &str) -> Result<()> {
        let begun = async {
            // All others do not ask.
            if case == "cancel_after_begin" { self.server.seen.has_begun().await } else { Ok(()) }
        };
        python::client(&self.gateway, case, begun).await
    }

    /// Waits until a call has arrived at the server.
    pub(crate) async fn has_begun(&self) -> Result<()> {
        self.server.seen.has_begun().await
    }

    /// The server has seen the cancellation if this case has one, and no other.
    pub(crate) async fn end(&self, case: &str) -> Result<()> {
        let seen = &self.server.seen;
        let wanted = usize::from(CUT_SHORT.contains(&case));
        wait_until("the server sees the cancellation", PATIENCE, async || seen.cancelled() >= wanted).await?;
        anyhow::ensure!(seen.cancelled() == wanted, "{} cancelled calls", seen.cancelled());
        Ok(())
    }
}

/// All requests go to this address.
pub(crate) fn manifest(address: &str) -> String {
    format!(
        "[[cluster]]\nname = 'grpc'\nprotocol = 'http2'\nendpoints = ['{address}']\n\
         [[route]]\npath = '/grpc.testing.TestService/**'\ncluster = 'grpc'\ntimeout = '{BEGINS_WITHIN}'\n\
         [[route]]\npath = '/grpc.testing.UnimplementedService/**'\ncluster = 'grpc'\n"
    )
}

pub(crate) fn connect(gateway: &Gateway) -> impl Future<Output = Result<Channel>> + Send + use<> {
    let url = gateway.url().to_owned();
    async { Ok(Endpoint::from_shared(url)?.connect().await?) }
}
