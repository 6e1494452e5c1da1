//! The door with what is behind it, asked in process.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use trellis_consul::{Options, Platform};
use trellis_registry::NodeRegistration;
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::Store;
use trellis_storage::members::{self, Members};

/// How long a test waits for what must come.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A registry, a configuration and the door in front of them.
pub(crate) struct Door {
    pub(crate) registry: trellis_registry::Handle,
    pub(crate) config: trellis_config::Handle,
    router: Router,
    shutdown: Shutdown,
    membership: JoinHandle<()>,
    _dir: Option<TempDir>,
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::open_with(Options::default()).await
    }

    pub(crate) async fn open_with(options: Options) -> Self {
        Self::of(options, Platform::default()).await
    }

    /// With what clients may do to the platform.
    pub(crate) async fn of(options: Options, platform: Platform) -> Self {
        let dir = TempDir::new().unwrap();
        let database = trellis_storage::Options::sqlite(&dir.path().join("platform.db"));
        let joining = members::Options::new("trellis", "http://127.0.0.1:7700");
        Self::on((database, Some(dir)), joining, options, platform).await
    }

    /// On a database that others may share; with the folder that it is in, if that is to go with the door.
    pub(crate) async fn on(
        (database, dir): (trellis_storage::Options, Option<TempDir>),
        joining: members::Options,
        options: Options,
        platform: Platform,
    ) -> Self {
        let store = Store::open(database).await.unwrap();
        let clock = WallClock::fixed(1_000);
        let shutdown = Shutdown::new();
        let node = NodeRegistration::new(joining.name.parse().unwrap(), "127.0.0.1");
        let (membership, member) = Members::join(&store, joining).await.unwrap();
        let membership = tokio::spawn(membership.run(shutdown.clone()));
        let made = trellis_registry::Service::new(
            trellis_registry::Options { node, ..trellis_registry::Options::default() },
            store.clone(),
            clock.clone(),
            member.clone(),
        )
        .await;
        let (service, registry) = made.unwrap();
        tokio::spawn(service.run(shutdown.clone()));
        let made =
            trellis_config::Service::new(trellis_config::Options::default(), store, clock, Some(member))
                .await;
        let (service, config) = made.unwrap();
        tokio::spawn(service.run(shutdown.clone()));
        let router = trellis_consul::router(options, registry.clone(), config.clone(), platform);
        Self { registry, config, router, shutdown, membership, _dir: dir }
    }

    /// Stops what is behind it, and waits until it is off the list of members.
    pub(crate) async fn stop(mut self) {
        self.shutdown.trigger();
        (&mut self.membership).await.unwrap();
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        let answer = self.router.clone().oneshot(request);
        let (head, body) = tokio::time::timeout(LIMIT, answer).await.unwrap().unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_vec() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Body::empty()).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl ToString) -> Answer {
        self.send(Method::PUT, path, body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, Body::empty()).await
    }

    /// Sends what must be taken.
    pub(crate) async fn done(&self, path: &str, body: impl ToString) -> Answer {
        let answer = self.put(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer
    }

    /// Asks what must be answered.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// Waits until so many requests wait for a change of the registry.
    pub(crate) async fn until_waiting(&self, count: usize) {
        let all = || self.registry.waiting() + self.config.waiting();
        tokio::time::timeout(LIMIT, async {
            while all() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    pub(crate) fn index(&self) -> u64 {
        self.header("x-consul-index").parse().unwrap()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?}", self.status, String::from_utf8_lossy(&self.body), self.headers)
    }
}

/// The member of every item of a list.
pub(crate) fn all(list: &Value, pointer: &str) -> Vec<String> {
    let items = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    items.iter().map(|item| item.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
}

/// The keys of an object.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap_or_else(|| panic!("no object: {object}")).keys().map(String::as_str).collect()
}
