//! The doors for programs that speak to Consul, DNS or Eureka already.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;
use tokio::net::TcpListener;
use tracing::info;
use trellis_core::Error;
use trellis_core::model::AppModel;
use trellis_net::{bind, local_address};
use trellis_runtime::{Shutdown, WallClock};

use super::stages::Stage;
use crate::admin::Gate;
use crate::door_counts::{DoorCounts, Doors};
use crate::manifest::Manifest;
use crate::traffic::Traffic;

/// Where these doors are; absent if one is not open.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StandardDoors {
    /// URL of the door that speaks Consul's HTTP API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consul: Option<String>,
    /// Address of the door for DNS, over UDP and TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<SocketAddr>,
    /// URL of the door that speaks Eureka's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eureka: Option<String>,
}

/// Their sockets: taken before anything runs, served once there is something to serve.
pub(super) struct Sockets {
    consul: Option<TcpListener>,
    eureka: Option<TcpListener>,
}

impl Sockets {
    /// Takes the sockets of the doors that `model` opens.
    pub(super) async fn open(model: &AppModel) -> Result<Self, Error> {
        let consul = open("consul.listen", model.consul.enabled, model.consul.listen).await?;
        let eureka = open("eureka.listen", model.eureka.enabled, model.eureka.listen).await?;
        Ok(Self { consul, eureka })
    }

    /// Serves them in `stage`; where they are, and what they count.
    pub(super) async fn serve(
        self,
        model: &AppModel,
        registry: &trellis_registry::Handle,
        config: &trellis_config::Handle,
        platform: trellis_consul::Platform,
        clock: &WallClock,
        stage: &Stage,
    ) -> Result<(StandardDoors, Doors), Error> {
        let (mut doors, mut open) = (StandardDoors::default(), Doors::default());
        if let Some(listener) = self.consul {
            let address = local_address(&listener)?;
            let options = trellis_consul::Options { listen: address, ..(&model.consul).into() };
            doors.consul = Some(format!("http://{address}"));
            let limits = options.serve.clone();
            let router = trellis_consul::router(options, registry.clone(), config.clone(), platform);
            let counts = open.consul.insert(DoorCounts::default()).clone();
            let serving = trellis_net::serve(listener, Gate::new(router, counts), limits, stage.shutdown());
            stage.spawn("consul", serving);
        }
        if let Some(listener) = self.eureka {
            let address = local_address(&listener)?;
            let options = trellis_eureka::Options { listen: address, ..(&model.eureka).into() };
            doors.eureka = Some(format!("http://{address}"));
            let limits = options.limits();
            let router = trellis_eureka::router(options, registry.clone());
            let counts = open.eureka.insert(DoorCounts::default()).clone();
            let serving = trellis_net::serve(listener, Gate::new(router, counts), limits, stage.shutdown());
            stage.spawn("eureka", serving);
        }
        if model.dns.enabled {
            let (service, handle) =
                trellis_dns::bind((&model.dns).into(), registry.clone(), clock.clone()).await?;
            doors.dns = Some(handle.address());
            open.dns = Some(handle);
            stage.spawn("dns", service.run(stage.shutdown()));
        }
        Ok((doors, open))
    }
}

/// What clients of Consul may do to the platform: stop it if the manifest lets them, and have the manifest read anew, if
/// there is one.
pub(super) fn operated(manifest: &Manifest, traffic: &Traffic, stop: &Shutdown) -> trellis_consul::Platform {
    let reload = manifest.file().map(|file| {
        let traffic = traffic.clone();
        let reload = move || {
            let applied = traffic.reread(&file)?;
            info!(
                revision = applied.revision,
                routes = applied.routes,
                restart_needed = ?applied.restart_needed,
                "the manifest was read anew"
            );
            Ok(())
        };
        Arc::new(reload) as trellis_consul::Reload
    });
    let leave = manifest.model.consul.allow_leave.then(|| stop.clone());
    trellis_consul::Platform { leave, reload }
}

async fn open(setting: &str, enabled: bool, address: SocketAddr) -> Result<Option<TcpListener>, Error> {
    if enabled { bind(setting, address).await.map(Some) } else { Ok(None) }
}
