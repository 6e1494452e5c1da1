//! Calling other modules and services.

mod call;
mod error;
mod outbound;
mod target;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response};
use trellis_core::error::Result;
use trellis_core::{Endpoint, EndpointSet, Error, ServiceName, codes};
use trellis_net::{Body, Cluster, ClusterOptions, ModuleService, Pool, RemoteDiscovery};

pub use call::Call;
pub use error::CallError;

use outbound::Outbound;
use target::{Remote, Target};

/// The default for a call that sets no timeout.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Modules of this process by name, filled in once all of them are built.
pub(crate) type LocalModules = Arc<OnceLock<HashMap<ServiceName, ModuleService>>>;

/// Calls modules by name: in the process if they run in it, over the network otherwise, with the same errors,
/// deadline and trace. Over the network: discovery, balancer, one breaker for each instance, call; or, in the mesh, all
/// of that by the proxy beside this process.
#[derive(Clone)]
pub struct MeshClient(Arc<Inner>);

struct Inner {
    local: LocalModules,
    network: Network,
    options: ClusterOptions,
    clients: Mutex<HashMap<ServiceName, ServiceClient>>,
}

/// How modules that are not in this process are reached.
pub(crate) enum Network {
    /// Not at all.
    None,
    /// At the addresses that the platform knows.
    Discovery(RemoteDiscovery),
    /// Through the proxy beside this process.
    Outbound(Arc<Pool>),
}

/// Calls one module.
#[derive(Clone)]
pub struct ServiceClient(Arc<Target>);

/// Calls one address, whatever runs there.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: ServiceClient,
    prefix: String,
}

impl MeshClient {
    pub(crate) fn new(local: LocalModules, network: Network) -> Self {
        let options = ClusterOptions::default();
        Self(Arc::new(Inner { local, network, options, clients: Mutex::default() }))
    }

    /// A client for the module called `name`; its instances are watched from now on. A name that cannot be one gives a
    /// client whose calls fail with TRL1003.
    pub fn service(&self, name: &str) -> ServiceClient {
        let Ok(name) = name.parse::<ServiceName>() else {
            return ServiceClient(Arc::new(Target::Nowhere(name.into())));
        };
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(name.clone()).or_insert_with(|| ServiceClient(Arc::new(self.0.target(name)))).clone()
    }
}

impl Inner {
    fn target(&self, name: ServiceName) -> Target {
        let remote = match &self.network {
            Network::None => None,
            Network::Discovery(discovery) => {
                let watch = discovery.watch_service(&name);
                let cluster = Cluster::new(name.clone(), &watch.endpoints, self.options.clone());
                Some(Remote::Instances(Box::new(cluster), watch))
            }
            Network::Outbound(pool) => Some(Remote::Outbound(Outbound::new(name.clone(), pool))),
        };
        Target::Module { name, local: self.local.clone(), remote }
    }
}

impl ServiceClient {
    /// A GET of `path`, which may have a query.
    pub fn get(&self, path: impl Into<String>) -> Call {
        self.request(Method::GET, path)
    }

    /// A POST to `path`.
    pub fn post(&self, path: impl Into<String>) -> Call {
        self.request(Method::POST, path)
    }

    /// A PUT of `path`.
    pub fn put(&self, path: impl Into<String>) -> Call {
        self.request(Method::PUT, path)
    }

    /// A DELETE of `path`.
    pub fn delete(&self, path: impl Into<String>) -> Call {
        self.request(Method::DELETE, path)
    }

    /// Any method on `path`.
    pub fn request(&self, method: Method, path: impl Into<String>) -> Call {
        Call::new(self.clone(), method, &path.into())
    }

    /// Sends a request as it is, with the default timeout; any status is a success.
    pub async fn call(&self, request: Request<Body>) -> Result<Response<Body>, CallError> {
        self.0.call(request, DEFAULT_TIMEOUT).await
    }
}

impl HttpClient {
    /// A client for `base_url`: `http://host:port`, with a path in front of all paths if it has one. Only `http` is
    /// spoken.
    pub fn new(base_url: &str) -> Result<Self> {
        let wrong = || Error::new(codes::INVALID_INPUT, "a base URL looks like http://host:port/path");
        let url: http::Uri = base_url.parse().map_err(|_| wrong())?;
        let authority = url.authority().filter(|_| url.scheme_str() == Some("http")).ok_or_else(wrong)?;
        let port = authority.port_u16().unwrap_or(80);
        let host = authority.host();
        let endpoint = Endpoint {
            id: "1".parse().map_err(|_| wrong())?,
            authority: format!("{host}:{port}").into(),
            weight: 1,
            zone: None,
        };
        let endpoints = EndpointSet { revision: 1, endpoints: vec![endpoint] };
        // The sender may go: a watch keeps its last value.
        let (_, watch) = tokio::sync::watch::channel(Arc::new(endpoints));
        let name = "http-client".parse().map_err(|_| wrong())?;
        let cluster = Cluster::new(name, &watch, ClusterOptions::default());
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self { client: ServiceClient(Arc::new(Target::Address(Box::new(cluster)))), prefix })
    }

    /// A GET of `path`, which may have a query.
    pub fn get(&self, path: &str) -> Call {
        self.request(Method::GET, path)
    }

    /// A POST to `path`.
    pub fn post(&self, path: &str) -> Call {
        self.request(Method::POST, path)
    }

    /// Any method on `path`.
    pub fn request(&self, method: Method, path: &str) -> Call {
        self.client.request(method, format!("{}{path}", self.prefix))
    }
}

impl std::fmt::Debug for MeshClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MeshClient")
    }
}

impl std::fmt::Debug for ServiceClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ServiceClient").field(&self.0.name()).finish()
    }
}
