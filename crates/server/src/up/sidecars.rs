//! The proxy beside each instance, in the phase that has them.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use trellis_core::model::{AppModel, SocketMode};
use trellis_core::{Error, InstanceId, ServiceName, codes};
use trellis_supervisor::{ProcessSpec, listen};

use super::processes::{Machine, Process};

/// What the platform knows of a proxy.
#[derive(Debug, Clone)]
pub(crate) struct Sidecar {
    /// The service that it stands for.
    pub(crate) service: ServiceName,
    /// The instance that it stands beside, which is also a process.
    pub(crate) of: InstanceId,
    /// Port for other proxies and the gateway.
    pub(crate) inbound: u16,
    /// Port for the instance.
    pub(crate) outbound: u16,
}

/// How long a proxy may take to stop beyond its drain.
const MARGIN: Duration = Duration::from_secs(2);

/// The proxy beside `process`, an instance of `service`, which starts after it, calls through it and is reached through
/// it. Its listeners are ours: while it is started again, connections wait in them.
pub(super) fn beside(
    process: &mut Process,
    service: &ServiceName,
    model: &AppModel,
    machine: &Machine<'_>,
) -> Result<Process, Error> {
    let of = process.spec.id.clone();
    let id: InstanceId = format!("{of}-proxy").parse().map_err(|error| {
        Error::new(codes::INVALID_MANIFEST, format!("{of} cannot name a proxy")).because(error)
    })?;
    let (inbound_socket, inbound) = socket(&id)?;
    let (outbound_socket, outbound) = socket(&id)?;
    process.spec.after.push(id.clone());
    process.spec.env.insert("TRELLIS_OUTBOUND".to_owned(), format!("http://127.0.0.1:{outbound}"));
    process.entrance = Some(inbound);
    let words =
        ["proxy", "--service", service.as_str(), "--instance", of.as_str(), "--control", machine.admin];
    let command = std::iter::once(machine.program.as_os_str().to_owned()).chain(words.map(Into::into));
    let defaults = &model.defaults;
    let spec = ProcessSpec {
        id,
        provides: Vec::new(),
        needs: Vec::new(),
        after: Vec::new(),
        command: command.collect(),
        env: [("TRELLIS_MANAGED".to_owned(), "1".to_owned())].into(),
        directory: machine.directory.to_owned(),
        socket: SocketMode::Inherit,
        more_sockets: vec![inbound_socket, outbound_socket],
        health_path: "/readyz".into(),
        start_timeout: defaults.start_timeout.into(),
        health_interval: defaults.health_interval.into(),
        health_timeout: defaults.health_timeout.into(),
        grace: Duration::from(model.gateway.drain) + MARGIN,
        restart: defaults.restart.clone(),
    };
    let sidecar = Some(Sidecar { service: service.clone(), of, inbound, outbound });
    Ok(Process { spec, instances: Vec::new(), database: "none".into(), entrance: None, sidecar })
}

fn socket(id: &InstanceId) -> Result<(Arc<TcpListener>, u16), Error> {
    let (listener, port) = listen().map_err(|error| {
        Error::new(codes::CANNOT_LISTEN, format!("there is no socket for {id}")).because(error)
    })?;
    Ok((Arc::new(listener), port))
}
