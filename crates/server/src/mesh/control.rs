//! The control plane's side: puts snapshots together, and lets proxies wait for the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use trellis_core::model::AppModel;
use trellis_core::{Error, InstanceId, ServiceName, codes};
use trellis_runtime::Shutdown;

use super::Config;

/// Where the instances behind the proxies are. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Apps(watch::Sender<BTreeMap<InstanceId, SocketAddr>>);

/// The proxy that asks.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The service it stands for.
    pub service: ServiceName,
    /// The instance it stands beside, if that is one of the platform's.
    pub instance: Option<InstanceId>,
}

/// Answers proxies. Clones share it.
#[derive(Debug, Clone)]
pub struct Control(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    models: watch::Receiver<Arc<AppModel>>,
    names: watch::Receiver<Arc<BTreeSet<ServiceName>>>,
    apps: Apps,
    /// Where relative paths start from.
    directory: PathBuf,
    /// Places for proxies that wait.
    places: Semaphore,
    max_wait: Duration,
    closing: Shutdown,
}

impl Apps {
    /// An instance has been started at `address`.
    pub fn set(&self, instance: &InstanceId, address: SocketAddr) {
        self.0.send_if_modified(|apps| apps.insert(instance.clone(), address) != Some(address));
    }
}

impl Control {
    /// Follows the manifest in force, the names in the registry, and the instances of the platform. Nobody waits any
    /// longer once `closing` is triggered.
    pub fn new(
        models: watch::Receiver<Arc<AppModel>>,
        names: watch::Receiver<Arc<BTreeSet<ServiceName>>>,
        apps: Apps,
        directory: PathBuf,
        closing: Shutdown,
    ) -> Self {
        let (max_waiters, max_wait) = {
            let model = models.borrow();
            (model.registry.max_waiters as usize, model.registry.max_wait.into())
        };
        let places = Semaphore::new(max_waiters.min(Semaphore::MAX_PERMITS));
        Self(Arc::new(Inner { models, names, apps, directory, places, max_wait, closing }))
    }

    /// What `asker` is to do now.
    pub fn config(&self, asker: &Asker) -> Config {
        let Inner { models, names, apps, directory, .. } = &*self.0;
        let (model, known) = (Arc::clone(&models.borrow()), Arc::clone(&names.borrow()));
        let app = asker.instance.as_ref().and_then(|id| apps.0.borrow().get(id).map(ToString::to_string));
        Config::new(&model, directory, &known, app)
    }

    /// The same as soon as it is another than `known`, or when `wait` has passed.
    pub async fn config_after(&self, asker: &Asker, known: u64, wait: Duration) -> Result<Config, Error> {
        let inner = &*self.0;
        let deadline = Instant::now() + wait.min(inner.max_wait);
        let (mut models, mut names, mut apps) =
            (inner.models.clone(), inner.names.clone(), inner.apps.0.subscribe());
        let full = || Error::new(codes::OVERLOADED, "too many proxies wait for a change; try again");
        let _place = inner.places.try_acquire().map_err(|_| full())?;
        loop {
            // Seen before it is read: what changes from here on wakes the wait below.
            let _ = (models.borrow_and_update(), names.borrow_and_update(), apps.borrow_and_update());
            let config = self.config(asker);
            if config.revision != known || inner.closing.is_triggered() {
                return Ok(config);
            }
            let change = async {
                // An error says that the other side has ended, with all else.
                tokio::select! {
                    _ = models.changed() => {}
                    _ = names.changed() => {}
                    _ = apps.changed() => {}
                    () = inner.closing.triggered() => {}
                }
            };
            if timeout_at(deadline, change).await.is_err() {
                return Ok(config);
            }
        }
    }
}
