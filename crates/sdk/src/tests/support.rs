//! A platform of one page, and a process that hosts modules.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use http::{Request, Response};
use serde::Deserialize;
use tokio::sync::watch;
use tower::Service;
use trellis_core::{Endpoint, EndpointSet};
use trellis_net::{Body, Pool, RemoteDiscovery, ServeOptions, bind, local_address, serve};
use trellis_runtime::{Shutdown, TaskKind, Tasks};

use crate::mesh::{LocalModules, MeshClient, Network};
use crate::service::for_tests::{Host, config};
use crate::{HttpClient, Module};

/// Runs `modules` in one process on port 0, as the platform would.
pub(super) struct Process {
    pub(super) host: Host,
    pub(super) address: SocketAddr,
    pub(super) shutdown: Shutdown,
    _data: tempfile::TempDir,
}

impl Process {
    pub(super) async fn start(modules: Vec<Module>, variables: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().to_str().unwrap().to_owned();
        let database = format!("sqlite:{path}/test.db");
        let mut all = vec![("TRELLIS_DATA_DIR", path.as_str()), ("DATABASE_URL", database.as_str())];
        all.extend_from_slice(variables);
        let shutdown = Shutdown::new();
        let host = Host::open(config(&all), shutdown.clone()).await.unwrap();
        let tasks = Tasks::new(shutdown.clone());
        let router = host.build(modules, &tasks).await.unwrap().merge(host.doors().router());
        let address = serve_on_any_port(router.with_state::<()>(()), &shutdown).await;
        tokio::spawn(tasks.join(std::time::Duration::from_secs(5)));
        Self { host, address, shutdown, _data: data }
    }

    pub(super) fn client(&self) -> HttpClient {
        HttpClient::new(&format!("http://{}", self.address)).unwrap()
    }

    /// A mesh client in another process, which finds this one through `platform`.
    pub(super) fn remote_mesh(&self, platform: &Platform) -> MeshClient {
        let discovery = RemoteDiscovery::new(&platform.address.to_string(), self.shutdown.clone());
        MeshClient::new(LocalModules::default(), Network::Discovery(discovery))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// A mesh client beside a proxy.
pub(super) fn mesh_through(proxy: SocketAddr) -> MeshClient {
    let pool = Pool::new(proxy.to_string().into(), Arc::default());
    MeshClient::new(LocalModules::default(), Network::Outbound(pool))
}

pub(super) async fn serve_on_any_port<S>(service: S, shutdown: &Shutdown) -> SocketAddr
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let listener = bind("test", SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = local_address(&listener).unwrap();
    let tasks = Tasks::new(shutdown.clone());
    let stop = shutdown.clone();
    tasks.spawn("http", TaskKind::Essential, serve(listener, service, ServeOptions::default(), stop));
    tokio::spawn(tasks.join(std::time::Duration::from_secs(5)));
    address
}

/// The one endpoint of the admin API that discovery asks.
pub(super) struct Platform {
    pub(super) address: SocketAddr,
    sets: watch::Sender<Arc<EndpointSet>>,
    shutdown: Shutdown,
}

#[derive(Deserialize)]
struct Question {
    revision: Option<u64>,
}

impl Platform {
    pub(super) async fn start(instances: &[SocketAddr]) -> Self {
        let (sets, _) = watch::channel(Arc::new(EndpointSet::default()));
        let shutdown = Shutdown::new();
        let router =
            Router::new().route("/v1/services/{name}/endpoints", get(endpoints)).with_state(sets.clone());
        let address = serve_on_any_port(router.with_state::<()>(()), &shutdown).await;
        let platform = Self { address, sets, shutdown };
        platform.publish(1, instances);
        platform
    }

    pub(super) fn publish(&self, revision: u64, instances: &[SocketAddr]) {
        let endpoint = |address: &SocketAddr| Endpoint {
            id: format!("i-{}", address.port()).parse().unwrap(),
            authority: address.to_string().into(),
            weight: 1,
            zone: None,
        };
        self.sets.send_replace(Arc::new(EndpointSet {
            revision,
            endpoints: instances.iter().map(endpoint).collect(),
        }));
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

async fn endpoints(
    State(sets): State<watch::Sender<Arc<EndpointSet>>>,
    Path(_): Path<String>,
    Query(question): Query<Question>,
) -> axum::Json<EndpointSet> {
    let mut receiver = sets.subscribe();
    let news = receiver.wait_for(|set| Some(set.revision) != question.revision).await.unwrap();
    axum::Json(EndpointSet::clone(&news))
}
