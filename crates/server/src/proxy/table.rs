//! What a proxy does, in the words that the gateway's engine understands: two small manifests.

use trellis_core::model::{AppModel, Gateway, Route};
use trellis_core::{Error, ServiceName, headers};
use trellis_proxy::RouteTable;

use crate::mesh::{Config, tls};
use crate::traffic;

/// The routes of both directions.
pub(super) struct Tables {
    pub(super) inbound: RouteTable,
    pub(super) outbound: RouteTable,
}

impl Tables {
    /// Of a snapshot, for the proxy of `service`.
    pub(super) fn compile(config: &Config, service: &ServiceName) -> Result<Self, Error> {
        Ok(Self {
            inbound: traffic::compile(&inbound(config, service))?,
            outbound: traffic::compile(&outbound(config))?,
        })
    }
}

/// What comes in goes to the instance beside the proxy, whatever it is. Trying again is left to who sends.
pub(super) fn inbound(config: &Config, service: &ServiceName) -> AppModel {
    let gateway = Gateway { connect_retries: 0, retry: None, ..gateway(config) };
    let mut route = Route { path: Some("/**".into()), service: Some(service.clone()), ..Route::default() };
    // Only a proxy says that an answer is a proxy's.
    route.response_headers.get_or_insert_default().remove.push(headers::PROXY.to_string());
    AppModel { gateway, route: vec![route], ..AppModel::default() }
}

/// What goes out is led by its `Host`: the name of a service, or of a cluster of fixed addresses.
pub(super) fn outbound(config: &Config) -> AppModel {
    let to = |name: &ServiceName| Route {
        path: Some("/**".into()),
        hosts: vec![name.to_string()],
        ..Route::default()
    };
    let services = config.services.iter().map(|name| Route { service: Some(name.clone()), ..to(name) });
    let fixed = config.cluster.iter().filter(|cluster| cluster.service.is_none());
    let fixed = fixed.map(|cluster| &cluster.name).filter(|name| !config.services.contains(*name));
    let fixed = fixed.map(|name| Route { cluster: Some(name.clone()), ..to(name) });
    let route = services.chain(fixed).collect();
    let tls = config.mesh.tls.as_ref();
    let cluster = tls::clusters(config.cluster.clone(), config.meshed.iter(), tls);
    AppModel { gateway: gateway(config), route, cluster, ..AppModel::default() }
}

/// `[gateway]` without what is for clients from outside.
fn gateway(config: &Config) -> Gateway {
    let mesh = &config.mesh;
    Gateway {
        timeout: mesh.timeout,
        workers: mesh.workers,
        access_log: mesh.access_log,
        access_log_sample: mesh.access_log_sample,
        tls: None,
        cors: None,
        compression: None,
        ..config.gateway.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn config(text: &str) -> Config {
        let model: AppModel = toml::from_str(text).unwrap();
        Config::new(&model, Path::new("/app"), &BTreeSet::new(), None)
    }

    const MESH: &str = r#"
        [app]
        phase = "service_mesh"
        [gateway]
        timeout = "1s"
        retry = { max = 1 }
        cors = { origins = ["https://shop.example"] }
        [mesh]
        timeout = "9s"
        [mesh.tls]
        cert = "cert.pem"
        key = "key.pem"
        ca = "ca.pem"
        [module.users]
        [module.orders]
        [[cluster]]
        name = "slow-orders"
        service = "orders"
        timeout = "1m"
        [[cluster]]
        name = "bank"
        endpoints = ["127.0.0.1:9"]
    "#;

    #[test]
    fn what_goes_out_is_led_by_its_host() {
        let model = outbound(&config(MESH));
        let routes: Vec<_> = model
            .route
            .iter()
            .map(|route| (&*route.hosts[0], route.service.is_some(), route.cluster.is_some()))
            .collect();
        assert_eq!(routes, [("orders", true, false), ("users", true, false), ("bank", false, true)]);
        assert_eq!(model.gateway.timeout.to_string(), "9s");
        assert!(model.gateway.cors.is_none() && model.gateway.retry.is_some());
    }

    #[test]
    fn only_services_with_a_proxy_are_spoken_to_over_tls() {
        let model = outbound(&config(MESH));
        let tls = |name: &str| {
            let cluster = model.cluster.iter().find(|cluster| cluster.name.as_str() == name).unwrap();
            cluster.tls.as_ref().and_then(|tls| tls.cert.clone())
        };
        assert_eq!(tls("slow-orders").as_deref(), Some("/app/cert.pem"));
        assert_eq!((tls("users").as_deref(), tls("bank")), (Some("/app/cert.pem"), None));
    }

    #[test]
    fn both_tables_can_be_compiled() {
        let tables = Tables::compile(&config(MESH), &"users".parse().unwrap()).unwrap();
        assert_eq!((tables.inbound.len(), tables.outbound.len()), (1, 3));
        assert!(inbound(&config(MESH), &"users".parse().unwrap()).gateway.retry.is_none());
    }
}
