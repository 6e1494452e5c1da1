//! Turns what happens to processes into what the registry knows and the log shows.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{error, info, warn};
use trellis_core::{InstanceId, ServiceName, Status};
use trellis_registry::{Handle, Lease, Registration};
use trellis_supervisor::{Observer, ProcessEvent, Stream};

use super::processes::Process;
use crate::logging;

/// Registers instances as their processes come and go, and passes their output on.
pub(crate) struct Reporter {
    registry: Handle,
    processes: BTreeMap<InstanceId, About>,
}

struct About {
    /// What it is called in log lines.
    module: String,
    instances: Vec<(ServiceName, InstanceId)>,
}

impl Reporter {
    pub(crate) fn new(registry: Handle, processes: &[Process], app: &ServiceName) -> Self {
        let about = |process: &Process| {
            let module = match process.instances.as_slice() {
                [(name, id)] if *id == process.spec.id => name.to_string(),
                _ => app.to_string(),
            };
            (process.spec.id.clone(), About { module, instances: process.instances.clone() })
        };
        Self { registry, processes: processes.iter().map(about).collect() }
    }

    fn instances(&self, id: &InstanceId) -> &[(ServiceName, InstanceId)] {
        self.processes.get(id).map_or(&[], |about| &about.instances)
    }

    fn register(&self, id: &InstanceId, port: u16) {
        for (service, instance) in self.instances(id) {
            let registration = Registration {
                id: instance.clone(),
                service: service.clone(),
                host: "127.0.0.1".into(),
                port,
                metadata: BTreeMap::new(),
                weight: 1,
                zone: None,
                status: Status::Starting,
                lease: Lease::Managed,
            };
            if let Err(error) = self.registry.register(registration) {
                error!(%instance, %error, "cannot be registered");
            }
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
            }
            ProcessEvent::Ready { id, port } => {
                info!(instance = %id, port, "ready");
                self.set(id, Status::Up);
            }
            ProcessEvent::Unready { id, reason } => {
                warn!(instance = %id, reason, "not ready any more");
                self.set(id, Status::Down);
            }
            ProcessEvent::Exited { id, reason, restart_in } => {
                // The instance goes first: a request must not wait for the log.
                self.set(id, Status::Down);
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
