//! Servers and requests that tests share.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

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

pub(crate) fn endpoints(addresses: &[SocketAddr]) -> EndpointWatch {
    let endpoints = addresses
        .iter()
        .enumerate()
        .map(|(i, address)| Endpoint {
            id: format!("i-{i}").parse().unwrap(),
            authority: address.to_string().into(),
            weight: 1,
            zone: None,
        })
        .collect();
    tokio::sync::watch::channel(Arc::new(EndpointSet { revision: 1, endpoints })).1
}

pub(crate) fn cluster(addresses: &[SocketAddr]) -> Cluster {
    Cluster::new("svc".parse().unwrap(), &endpoints(addresses), ClusterOptions::default())
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
