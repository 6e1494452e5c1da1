//! Watching services through the platform's admin API.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, header};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;
use trellis_core::error::{Result, chain};
use trellis_core::{Discovery, EndpointSet, EndpointWatch, Error, ServiceName, codes};
use trellis_runtime::Shutdown;

use crate::{Body, Pool, body};

/// How long the platform may hold a question open.
const WAIT: Duration = Duration::from_secs(30);
/// Added to it before we stop waiting for the answer.
const SLACK: Duration = Duration::from_secs(5);
/// Longest time a first call waits to learn of its service.
const FIRST: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const MAX_ANSWER_BYTES: u64 = 16 << 20;

/// Follows the endpoints of services. While the platform does not answer, the last snapshot stays.
#[derive(Clone)]
pub struct RemoteDiscovery(Arc<Inner>);

struct Inner {
    pool: Arc<Pool>,
    shutdown: Shutdown,
    watches: Mutex<HashMap<ServiceName, ServiceWatch>>,
}

/// The endpoints of one service, and whether anything has been heard of it yet.
#[derive(Debug, Clone)]
pub struct ServiceWatch {
    /// The endpoints: none until something has been heard.
    pub endpoints: EndpointWatch,
    heard: watch::Receiver<bool>,
}

impl RemoteDiscovery {
    /// Asks the admin API at `authority` (`host:port`). Watches end with `shutdown`.
    pub fn new(authority: &str, shutdown: Shutdown) -> Self {
        let pool = Pool::new(authority.into(), Arc::default());
        Self(Arc::new(Inner { pool, shutdown, watches: Mutex::default() }))
    }

    /// Watches a service; whoever asks again gets the same watch.
    pub fn watch_service(&self, service: &ServiceName) -> ServiceWatch {
        let mut watches = self.0.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = watches.get(service) {
            return known.clone();
        }
        let (set, endpoints) = watch::channel(Arc::new(EndpointSet::default()));
        let (hear, heard) = watch::channel(false);
        let inner = self.0.clone();
        let name = service.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = inner.shutdown.triggered() => {}
                () = follow(&inner, &name, &set, &hear) => {}
            }
        });
        let service_watch = ServiceWatch { endpoints, heard };
        watches.insert(service.clone(), service_watch.clone());
        service_watch
    }

    /// Waits until something has been heard of every service that is watched now, but not beyond `deadline`.
    pub async fn all_heard(&self, deadline: Instant) {
        let watches: Vec<_> =
            self.0.watches.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for watch in watches {
            watch.first_snapshot(deadline).await;
        }
    }
}

impl Discovery for RemoteDiscovery {
    fn watch(&self, service: &ServiceName) -> EndpointWatch {
        self.watch_service(service).endpoints
    }
}

impl std::fmt::Debug for RemoteDiscovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RemoteDiscovery").field(self.0.pool.authority()).finish()
    }
}

impl ServiceWatch {
    /// Waits until something has been heard of the service, but not for long: without news the call fails by itself.
    pub async fn first_snapshot(&self, deadline: Instant) {
        if *self.heard.borrow() {
            return;
        }
        let mut heard = self.heard.clone();
        let _ = timeout_at(deadline.min(Instant::now() + FIRST), heard.wait_for(|heard| *heard)).await;
    }
}

async fn follow(
    inner: &Inner,
    service: &ServiceName,
    set: &watch::Sender<Arc<EndpointSet>>,
    hear: &watch::Sender<bool>,
) {
    let mut known = None;
    let mut pause = FIRST_PAUSE;
    loop {
        match ask(inner, service, known).await {
            Ok(answer) => {
                pause = FIRST_PAUSE;
                known = Some(answer.revision);
                // Numbered here, since a platform that was replaced may use a revision again for something else.
                set.send_if_modified(|current| {
                    let news = current.endpoints != answer.endpoints;
                    if news {
                        let revision = current.revision + 1;
                        *current = Arc::new(EndpointSet { revision, endpoints: answer.endpoints });
                    }
                    news
                });
                hear.send_replace(true);
            }
            Err(error) => {
                // The platform may have been replaced by one that counts revisions anew: ask for all of it.
                if known.take().is_some() {
                    warn!(%service, error = chain(&error), "discovery does not answer; going on with what is known");
                }
                sleep(pause / 2 + pause.mul_f64(fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn ask(inner: &Inner, service: &ServiceName, known: Option<u64>) -> Result<EndpointSet> {
    let silent = || Error::new(codes::NO_PLATFORM, "the platform's admin API does not answer");
    let mut path = format!("/v1/services/{service}/endpoints");
    if let Some(revision) = known {
        path = format!("{path}?revision={revision}&wait={}s", WAIT.as_secs());
    }
    let request = Request::get(path)
        .header(header::HOST, &**inner.pool.authority())
        .body(Body::empty())
        .map_err(|e| silent().because(e))?;
    let exchange = async {
        let response = inner.pool.ask(request).await.map_err(|error| silent().because(error))?;
        let status = response.status();
        let bytes = body::collect(response.into_body(), MAX_ANSWER_BYTES).await?;
        if !status.is_success() {
            return Err(silent().because(format!("status {status}")));
        }
        serde_json::from_slice(&bytes).map_err(|e| silent().because(e))
    };
    timeout(WAIT + SLACK, exchange).await.map_err(|_| silent())?
}
