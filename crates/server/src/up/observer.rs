//! Turns what happens to processes into what the registry knows and the log shows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::{error, info, warn};
use trellis_core::{InstanceId, ServiceName, Status};
use trellis_registry::{Handle, Labels, Lease, Registration};
use trellis_supervisor::{Observer, ProcessEvent, Stream};

use super::processes::Process;
use crate::logging;
use crate::mesh::Apps;

/// Registers instances as their processes come and go, and passes their output on.
pub(crate) struct Reporter {
    registry: Handle,
    apps: Apps,
    processes: BTreeMap<InstanceId, About>,
    /// Of processes with a proxy: an instance takes traffic while both are ready.
    pairs: Mutex<BTreeMap<InstanceId, Pair>>,
}

struct About {
    /// What it is called in log lines.
    module: String,
    instances: Vec<(ServiceName, InstanceId)>,
    /// The port at which it is reached, if that is its proxy's.
    entrance: Option<u16>,
    /// The process that it is the proxy of.
    proxy_of: Option<InstanceId>,
}

/// A process and its proxy.
#[derive(Default)]
struct Pair {
    /// What is known of the process itself, once it has been started.
    own: Option<Status>,
    proxy_is_ready: bool,
}

/// The label of an instance that says where it is itself.
const APP_LABEL: &str = "app";

impl Pair {
    fn status(&self) -> Option<Status> {
        match self.own {
            Some(Status::Up) if !self.proxy_is_ready => Some(Status::Down),
            own => own,
        }
    }
}

impl Reporter {
    pub(crate) fn new(registry: Handle, apps: Apps, processes: &[Process], app: &ServiceName) -> Self {
        let about = |process: &Process| {
            let module = match (process.instances.as_slice(), &process.sidecar) {
                (_, Some(sidecar)) => sidecar.service.to_string(),
                ([(name, id)], _) if *id == process.spec.id => name.to_string(),
                _ => app.to_string(),
            };
            let about = About {
                module,
                instances: process.instances.clone(),
                entrance: process.entrance,
                proxy_of: process.sidecar.as_ref().map(|sidecar| sidecar.of.clone()),
            };
            (process.spec.id.clone(), about)
        };
        let paired = processes.iter().filter(|process| process.entrance.is_some());
        let pairs = paired.map(|process| (process.spec.id.clone(), Pair::default())).collect();
        let processes = processes.iter().map(about).collect();
        Self { registry, apps, processes, pairs: Mutex::new(pairs) }
    }

    fn instances(&self, id: &InstanceId) -> &[(ServiceName, InstanceId)] {
        self.processes.get(id).map_or(&[], |about| &about.instances)
    }

    fn register(&self, id: &InstanceId, port: u16) {
        let entrance = self.processes.get(id).and_then(|about| about.entrance);
        let metadata = match entrance {
            Some(_) => Labels::from(BTreeMap::from([(APP_LABEL, format!("127.0.0.1:{port}"))])),
            None => Labels::default(),
        };
        for (service, instance) in self.instances(id) {
            if entrance.is_some() {
                self.apps.set(instance, SocketAddr::from(([127, 0, 0, 1], port)));
            }
            let port = entrance.unwrap_or(port);
            let registration = Registration {
                metadata: metadata.clone(),
                status: Status::Starting,
                lease: Lease::Managed,
                ..Registration::new(instance.clone(), service, "127.0.0.1", port)
            };
            if let Err(error) = self.registry.register(registration) {
                error!(%instance, %error, "cannot be registered");
            }
        }
    }

    /// What has become of a process, and what that makes of the instances behind it.
    fn know(&self, id: &InstanceId, own: Status) {
        let proxy_of = self.processes.get(id).and_then(|about| about.proxy_of.as_ref());
        // Held until the registry knows, so that two who report at once do not overtake each other.
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pair) = pairs.get_mut(proxy_of.unwrap_or(id)) else { return self.set(id, own) };
        match proxy_of {
            Some(_) => pair.proxy_is_ready = own == Status::Up,
            None => pair.own = Some(own),
        }
        if let Some(status) = pair.status() {
            self.set(proxy_of.unwrap_or(id), status);
        }
    }

    fn set(&self, id: &InstanceId, status: Status) {
        for (_, instance) in self.instances(id) {
            // One that could not be started was never registered; that it could not is told elsewhere.
            if let Err(trellis_registry::Error::UnknownInstance(_)) | Ok(()) =
                self.registry.set_status(instance, status)
            {
                continue;
            }
            error!(%instance, %status, "its status cannot be set");
        }
    }

    fn deregister(&self, id: &InstanceId) {
        for (_, instance) in self.instances(id) {
            if let Err(trellis_registry::Error::UnknownInstance(_)) | Ok(()) =
                self.registry.deregister(instance)
            {
                continue;
            }
            error!(%instance, "cannot be removed from the registry");
        }
    }
}

impl Observer for Reporter {
    fn event(&self, event: &ProcessEvent) {
        match event {
            ProcessEvent::Started { id, pid, port } => {
                info!(instance = %id, pid, port, "starting");
                self.register(id, *port);
                self.know(id, Status::Starting);
            }
            ProcessEvent::Ready { id, port } => {
                info!(instance = %id, port, "ready");
                self.know(id, Status::Up);
            }
            ProcessEvent::Unready { id, reason } => {
                warn!(instance = %id, reason, "not ready any more");
                self.know(id, Status::Down);
            }
            ProcessEvent::Exited { id, reason, restart_in } => {
                // The instance goes first: a request must not wait for the log.
                self.know(id, Status::Down);
                warn!(instance = %id, reason, restart_in = %rounded(*restart_in), "ended; it is restarted");
            }
            ProcessEvent::Stopped { id } => {
                info!(instance = %id, "stopped");
                self.deregister(id);
            }
        }
    }

    fn line(&self, id: &InstanceId, stream: Stream, line: &str) {
        let module = self.processes.get(id).map_or("", |about| about.module.as_str());
        let stream = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        logging::module_line(module, id.as_str(), stream, line);
    }
}

fn rounded(wait: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_millis(wait.as_millis() as u64))
}
