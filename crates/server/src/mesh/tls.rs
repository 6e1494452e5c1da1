//! TLS between those that have a proxy and whoever calls them.

use trellis_core::model::{AppModel, Cluster, MeshTls, UpstreamTls};
use trellis_core::{Phase, ServiceName};

/// Whether the services of `model` are spoken to over TLS, whatever its clusters say.
pub(crate) fn applies(model: &AppModel) -> bool {
    model.app.phase == Phase::ServiceMesh && model.mesh.tls.is_some()
}

/// `clusters`, with which the services `meshed` are spoken to as their proxies listen: over TLS, if the mesh has it.
pub(crate) fn clusters<'a>(
    mut clusters: Vec<Cluster>,
    meshed: impl Iterator<Item = &'a ServiceName>,
    files: Option<&MeshTls>,
) -> Vec<Cluster> {
    let Some(files) = files else { return clusters };
    let tls = UpstreamTls {
        ca: Some(files.ca.clone()),
        server_name: Some(files.server_name.clone()),
        cert: Some(files.cert.clone()),
        key: Some(files.key.clone()),
        insecure: false,
    };
    for service in meshed {
        let policy = clusters.iter_mut().find(|cluster| cluster.service.as_ref() == Some(service));
        if let Some(policy) = policy {
            policy.tls.get_or_insert_with(|| tls.clone());
        } else if let Some(name) = free_name(&clusters, service) {
            let service = Some(service.clone());
            clusters.push(Cluster { service, tls: Some(tls.clone()), ..Cluster::new(name) });
        }
    }
    clusters
}

/// The service's own name, unless a cluster of fixed addresses bears it.
fn free_name(clusters: &[Cluster], service: &ServiceName) -> Option<ServiceName> {
    let names = std::iter::once(service.to_string()).chain((1..).map(|n| format!("mesh-{n}")));
    let mut free = names.filter(|name| !clusters.iter().any(|cluster| cluster.name.as_str() == name));
    free.next()?.parse().ok()
}
