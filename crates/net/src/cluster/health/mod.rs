//! Asking instances whether they can serve.

mod ask;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use trellis_core::{EndpointWatch, ServiceName, model};
use trellis_resilience::Hysteresis;
use trellis_resilience::probe::Change;
use trellis_runtime::Shutdown;

pub use ask::ask;

use super::shared::{Known, Shared};
use super::{Cluster, ClusterOptions};

/// How instances are asked.
#[derive(Debug, Clone)]
pub struct HealthOptions {
    /// What they are asked.
    pub question: Question,
    /// Time from one question to the next, give or take a tenth.
    pub interval: Duration,
    /// Longest wait for the answer, connection included.
    pub timeout: Duration,
    /// Good answers in a row after which an instance takes traffic again.
    pub rise: u32,
    /// Bad answers in a row after which it takes none. Until then a new one is thought well of.
    pub fall: u32,
}

/// What instances are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// GET of this path, which a 2xx answers well.
    Http(PathAndQuery),
    /// `Check` of the gRPC health protocol, for this service.
    Grpc(String),
    /// Whether it takes a connection.
    Tcp,
}

/// What it takes to watch a cluster that may be gone by then.
struct Watcher {
    name: ServiceName,
    known: Arc<Known>,
    endpoints: EndpointWatch,
    options: ClusterOptions,
    health: HealthOptions,
}

impl HealthOptions {
    /// What the model says; `None` if it says nothing that could be asked.
    pub fn of(model: &model::HealthCheck) -> Option<Self> {
        let question = match (&model.path, &model.grpc) {
            (Some(path), _) => Question::Http(path.parse().ok()?),
            (None, Some(service)) => Question::Grpc(service.clone()),
            (None, None) if model.tcp => Question::Tcp,
            (None, None) => return None,
        };
        Some(Self {
            question,
            interval: model.interval.into(),
            timeout: model.timeout.into(),
            rise: model.rise,
            fall: model.fall,
        })
    }
}

impl Cluster {
    /// Asks the instances until `shutdown`, or until the cluster is dropped, which this does not keep from happening.
    /// `None` if there is nothing to ask, or somebody does so already.
    pub fn watch_health(&self, shutdown: &Shutdown) -> Option<impl Future<Output = ()> + Send + use<>> {
        let health = self.options.health.clone()?;
        if self.is_watched.swap(true, Ordering::Relaxed) {
            return None;
        }
        let watcher = Watcher {
            name: self.name.clone(),
            known: Arc::clone(&self.known),
            endpoints: self.endpoints.clone(),
            options: self.options.clone(),
            health,
        };
        let (shutdown, gone) = (shutdown.clone(), self.gone.clone());
        Some(async move {
            tokio::select! {
                () = watcher.run() => {}
                () = shutdown.triggered() => {}
                () = gone.triggered() => {}
            }
        })
    }
}

impl Watcher {
    /// One task for each instance, as long as it is there.
    async fn run(mut self) {
        let mut tasks = JoinSet::new();
        let mut asked: HashMap<Id, (Arc<Shared>, AbortHandle)> = HashMap::new();
        let mut is_open = true;
        loop {
            let now = super::learn::now();
            let newest = self.known.update(&mut self.endpoints, &self.options, now);
            asked.retain(|_, (shared, task)| {
                let stays = newest.list.iter().any(|known| Arc::ptr_eq(known, shared));
                if !stays {
                    task.abort();
                }
                stays
            });
            for shared in &newest.list {
                if !asked.values().any(|(known, _)| Arc::ptr_eq(known, shared)) {
                    let watch = watch(
                        self.name.clone(),
                        Arc::clone(shared),
                        self.options.clone(),
                        self.health.clone(),
                    );
                    let task = tasks.spawn(watch);
                    asked.insert(task.id(), (Arc::clone(shared), task));
                }
            }
            tokio::select! {
                changed = self.endpoints.changed(), if is_open => is_open = changed.is_ok(),
                // One that crashed is started anew; others were told to end.
                Some(ended) = tasks.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    if asked.remove(&id).is_some() {
                        sleep(self.health.interval).await;
                    }
                }
                else => std::future::pending().await,
            }
        }
    }
}

/// Asks one instance, for ever.
async fn watch(name: ServiceName, shared: Arc<Shared>, options: ClusterOptions, health: HealthOptions) {
    // Instances that come together are not asked together.
    sleep(health.interval.mul_f64(fastrand::f64() * 0.1)).await;
    let mut state = Hysteresis::new(health.rise, health.fall, shared.is_healthy());
    let (service, instance) = (name.as_str(), shared.endpoint.id.as_str());
    loop {
        let asked =
            timeout(health.timeout, ask::ask(&shared.endpoint, &health.question, &options.pool)).await;
        let answer = asked.unwrap_or_else(|_| Err("no answer in time".into()));
        if answer.is_ok() {
            // An instance that was gone for a moment need not wait for its breaker's whole time.
            shared.breaker.reconsider();
        }
        match state.observe(answer.is_ok()) {
            None => {}
            Some(Change::Up) => {
                shared.set_healthy(true);
                info!(service, instance, "instance is healthy again");
            }
            Some(Change::Down) => {
                shared.set_healthy(false);
                let why = answer.err().map(|error| error.to_string()).unwrap_or_default();
                warn!(service, instance, why, "instance fails its health checks");
            }
        }
        sleep(health.interval.mul_f64(0.9 + fastrand::f64() * 0.2)).await;
    }
}
