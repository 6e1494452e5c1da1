//! A registry with its door open, and a plain HTTP client.

use std::net::SocketAddr;

use axum::body::Body;
use http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use trellis_core::error::Result as CoreResult;
use trellis_core::{InstanceId, ServiceName};
use trellis_net::ServeOptions;
use trellis_net::refusal::Written;
use trellis_registry::{Handle, Lease, Options, Registration, Service};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::{Store, members};

pub(crate) fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

pub(crate) fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

/// The one member of a store that nobody shares. Its lease does not end.
pub(crate) async fn alone(store: &Store) -> members::Handle {
    members::Members::join(store, members::Options::new("test", "")).await.unwrap().1
}

/// An instance that is UP and that the platform runs.
pub(crate) fn managed(instance: &str, service: &str) -> Registration {
    Registration { lease: Lease::Managed, ..Registration::new(id(instance), name(service), "127.0.0.1", 9) }
}

/// A registry that runs.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    store: Store,
    shutdown: Shutdown,
    task: JoinHandle<CoreResult<()>>,
}

impl Running {
    pub(crate) async fn start(database: trellis_storage::Options, options: Options) -> Self {
        let store = Store::open(database).await.unwrap();
        let members = alone(&store).await;
        let (service, handle) =
            Service::new(options, store.clone(), WallClock::fixed(0), members).await.unwrap();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        Self { handle, store, shutdown, task }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.task.await.unwrap().unwrap();
        self.store.close().await;
    }
}

/// A registry on a database of its own, reached over HTTP.
pub(crate) struct Door {
    pub(crate) registry: Running,
    pub(crate) client: Client,
    _dir: TempDir,
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::open_with(Options::default()).await
    }

    pub(crate) async fn open_with(options: Options) -> Self {
        let dir = TempDir::new().unwrap();
        let database = trellis_storage::Options::sqlite(&dir.path().join("platform.db"));
        let registry = Running::start(database, options).await;
        let listener = trellis_net::bind("test", SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let client = Client(trellis_net::local_address(&listener).unwrap());
        let router = Written(trellis_registry::router(registry.handle.clone()));
        tokio::spawn(trellis_net::serve(
            listener,
            router,
            ServeOptions::default(),
            registry.shutdown.clone(),
        ));
        Self { registry, client, _dir: dir }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        (self.status, self.json["code"].as_str().unwrap())
    }

    pub(crate) fn detail(&self) -> &str {
        self.json["detail"].as_str().unwrap()
    }
}

/// A stream of events.
pub(crate) struct Events {
    body: Incoming,
    text: String,
    // Its end would be the end of the connection.
    _sender: http1::SendRequest<Body>,
}

impl Events {
    /// The next: its id, and its data. `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let line =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                // A comment has neither.
                let (Some(id), Some(data)) = (line("id: "), line("data: ")) else { continue };
                return Some((id, serde_json::from_str(&data).unwrap()));
            }
            let frame = self.body.frame().await?.unwrap();
            self.text += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Client(SocketAddr);

impl Client {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let stream = TcpStream::connect(self.0).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        // Ends with the exchange; dropping this future aborts nothing but closes the connection with the sender.
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: head.status.as_u16(), headers: head.headers, json }
    }

    /// A stream of events, and what it says of itself.
    pub(crate) async fn events(&self, path: &str, last: Option<&str>) -> (HeaderMap, Events) {
        let stream = TcpStream::connect(self.0).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::get(path).header(header::HOST, "registry");
        request = request.header(header::ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let (head, body) =
            sender.send_request(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        (head.headers, Events { body, text: String::new(), _sender: sender })
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "registry");
        let request = match body {
            Some(json) => {
                request.header(header::CONTENT_TYPE, "application/json").body(Body::from(json.to_string()))
            }
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = Request::get(path).header(header::HOST, "registry");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.call(Method::POST, path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Registers an instance that keeps itself alive.
    pub(crate) async fn register(&self, instance: &str, service: &str) -> Answer {
        let body = json!({"service": service, "host": "127.0.0.1", "port": 9});
        self.put(&format!("/v1/instances/{instance}"), body).await
    }
}
