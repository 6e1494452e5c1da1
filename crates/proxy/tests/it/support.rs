//! A gateway, services behind it and clients before it, all on free ports of this machine.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trellis_core::model::AppModel;
use trellis_core::{Discovery, Endpoint, EndpointSet, EndpointWatch, ServiceName};
use trellis_proxy::{Gateway, Handle, Options, RouteTable, compile};
use trellis_runtime::Shutdown;

/// Fails a test that waits for something which does not come.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("this takes too long")
}

/// Asks until the answer is yes.
pub(crate) async fn until(mut condition: impl AsyncFnMut() -> bool) {
    soon(async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// The instances of all services, changed by the test.
#[derive(Default)]
pub(crate) struct Registry(Mutex<HashMap<ServiceName, watch::Sender<Arc<EndpointSet>>>>);

impl Registry {
    pub(crate) fn set(&self, service: &str, addresses: &[SocketAddr]) {
        let endpoint = |(n, address): (usize, &SocketAddr)| Endpoint {
            id: format!("{service}-{}", n + 1).parse().expect("an id"),
            authority: address.to_string().into(),
            weight: 1,
            zone: None,
        };
        let endpoints = addresses.iter().enumerate().map(endpoint).collect();
        self.with(service, |sender| {
            let revision = sender.borrow().revision + 1;
            sender.send_replace(Arc::new(EndpointSet { revision, endpoints }));
        });
    }

    fn with<T>(&self, service: &str, act: impl FnOnce(&watch::Sender<Arc<EndpointSet>>) -> T) -> T {
        let mut services = self.0.lock().expect("a lock");
        act(services
            .entry(service.parse().expect("a name"))
            .or_insert_with(|| watch::channel(Arc::default()).0))
    }
}

impl Discovery for Registry {
    fn watch(&self, service: &ServiceName) -> EndpointWatch {
        self.with(service.as_str(), watch::Sender::subscribe)
    }
}

/// A running gateway; it stops when dropped.
pub(crate) struct TestGateway {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) registry: Arc<Registry>,
    shutdown: Shutdown,
    serving: JoinHandle<()>,
}

pub(crate) fn table(manifest: &str) -> RouteTable {
    compile(&model(manifest)).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

pub(crate) fn model(manifest: &str) -> AppModel {
    toml::from_str(manifest).unwrap_or_else(|error| panic!("{error}"))
}

impl TestGateway {
    pub(crate) async fn start(manifest: &str) -> Self {
        let options = Options::from(&model(manifest).gateway);
        let registry = Arc::new(Registry::default());
        let (gateway, handle) = Gateway::new(options, table(manifest), registry.clone()).expect("a gateway");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = Shutdown::new();
        let run = gateway.run(listener, shutdown.clone());
        let serving = tokio::spawn(async { run.await.expect("serving") });
        Self { address, handle, registry, shutdown, serving }
    }

    /// One route, `/**`, to a service `s` with these instances.
    pub(crate) async fn to(addresses: &[SocketAddr], settings: &str) -> Self {
        let gateway = Self::start(&format!("{settings}\n[[route]]\npath = '/**'\nservice = 's'")).await;
        gateway.registry.set("s", addresses);
        gateway
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.open(request).await).await
    }

    /// Sends and returns with the head of the answer.
    pub(crate) async fn open(&self, mut request: Request<Body>) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
        tokio::spawn(connection);
        request.headers_mut().entry("host").or_insert("shop.example".parse().expect("a value"));
        soon(sender.send_request(request)).await.expect("an answer")
    }

    /// Sends bytes as they are; returns all that comes back until the gateway closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(bytes).await.expect("a write");
        let mut answer = Vec::new();
        // A reset after the answer is an end as well.
        let _ = soon(stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Tells it to stop; see [`stop`](Self::stop).
    pub(crate) fn begin_to_stop(&self) {
        self.shutdown.trigger();
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        soon(self.serving).await.expect("the gateway");
    }
}

/// A response that has been read to its end, or to where it broke off.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) async fn read(response: Response<Incoming>) -> Self {
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        let whole = loop {
            match soon(body.frame()).await {
                Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_default()),
                Some(Err(_)) => break false,
                None => break true,
            }
        };
        let text = String::from_utf8(bytes).expect("text");
        Self { status: head.status, headers: head.headers, text, whole }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it is a problem document of the gateway with `code`.
    pub(crate) fn problem(&self, code: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], format!("urn:trellis:error:{code}"));
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        assert!(!self.text.contains("127.0.0.1"), "an address is shown: {self:?}");
        assert_eq!(
            problem["retry_after_ms"].is_number(),
            self.headers.contains_key("retry-after"),
            "{self:?}"
        );
        problem
    }
}

/// A service on a free port.
pub(crate) async fn service(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

/// A service that answers every request with what it got.
pub(crate) async fn echo() -> SocketAddr {
    service(Router::new().fallback(async |request: axum::extract::Request| {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let headers: Vec<(String, String)> = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        axum::Json(serde_json::json!({
            "method": head.method.as_str(),
            "target": head.uri.to_string(),
            "headers": headers,
            "body": String::from_utf8_lossy(&body),
        }))
    }))
    .await
}

/// A service that speaks no better than `script` does.
pub(crate) async fn crude<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(stream));
        }
    });
    address
}

/// An address where nobody listens, and which nobody else gets while the test runs.
pub(crate) async fn nobody() -> SocketAddr {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let _kept = socket;
        std::future::pending::<()>().await;
    });
    address
}

/// Reads the head of one request.
pub(crate) async fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The values of a header that [`echo`] got.
pub(crate) fn got<'a>(echoed: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = echoed["headers"].as_array().expect("headers").iter();
    headers.filter(|pair| pair[0] == name).filter_map(|pair| pair[1].as_str()).collect()
}
