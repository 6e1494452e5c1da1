//! Servers and requests that tests share.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use http::{Method, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tower::service_fn;
use trellis_core::{Endpoint, EndpointSet, EndpointWatch};
use trellis_net::{Body, Cluster, ClusterOptions, ServeOptions, bind, local_address, serve};
use trellis_runtime::Shutdown;

/// A server that runs until it is stopped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) done: JoinHandle<()>,
}

pub(crate) async fn server<F, Fut>(options: ServeOptions, handler: F) -> Server
where
    F: Fn(Request<Body>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = bind("test", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = local_address(&listener).unwrap();
    let shutdown = Shutdown::new();
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let stop = shutdown.clone();
    let done = tokio::spawn(async move { serve(listener, service, options, stop).await.unwrap() });
    Server { address, shutdown, done }
}

/// A raw server: each connection is handed to `talk`.
pub(crate) async fn raw<F, Fut>(talk: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream));
        }
    });
    address
}

/// An address nobody listens on.
pub(crate) async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// The instance `i-N` at this address.
pub(crate) fn endpoint(n: usize, address: SocketAddr) -> Endpoint {
    let (id, authority) = (format!("i-{n}").parse().unwrap(), address.to_string().into());
    Endpoint { id, authority, weight: 1, zone: None }
}

pub(crate) fn set(endpoints: Vec<Endpoint>) -> Arc<EndpointSet> {
    Arc::new(EndpointSet { revision: 1, endpoints })
}

pub(crate) fn endpoints(addresses: &[SocketAddr]) -> EndpointWatch {
    let endpoints = addresses.iter().enumerate().map(|(n, address)| endpoint(n, *address)).collect();
    tokio::sync::watch::channel(set(endpoints)).1
}

pub(crate) fn cluster(addresses: &[SocketAddr]) -> Cluster {
    cluster_with(addresses, ClusterOptions::default())
}

pub(crate) fn cluster_with(addresses: &[SocketAddr], options: ClusterOptions) -> Cluster {
    Cluster::new("svc".parse().unwrap(), &endpoints(addresses), options)
}

/// Polls until `holds`, or panics.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let poll = async {
        while !holds().await {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(20), poll).await;
    assert!(in_time.is_ok(), "never: {what}");
}

/// A server that answers with a status that can be changed, and counts what it is asked.
pub(crate) struct Moody {
    pub(crate) address: SocketAddr,
    pub(crate) status: Arc<AtomicU16>,
    asked: Arc<AtomicU32>,
}

impl Moody {
    pub(crate) async fn new(status: u16) -> Self {
        let (status, asked) = (Arc::new(AtomicU16::new(status)), Arc::new(AtomicU32::new(0)));
        let (says, counts) = (status.clone(), asked.clone());
        let server = server(ServeOptions::default(), move |_| {
            counts.fetch_add(1, Ordering::Relaxed);
            let status = says.load(Ordering::Relaxed);
            async move { Response::builder().status(status).body(Body::empty()).unwrap() }
        });
        Self { address: server.await.address, status, asked }
    }

    /// Requests since the last time.
    pub(crate) fn asked(&self) -> u32 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn says(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

pub(crate) fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let bytes = trellis_net::body::collect(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Reads one request head; `None` once the peer has closed.
pub(crate) async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        text.push(byte[0].into());
    }
    Some(text)
}

pub(crate) async fn say(stream: &mut TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes()).await;
}
