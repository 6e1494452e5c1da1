//! Clusters, and the names that routes call.

use http::uri::Authority;
use trellis_core::ServiceName;
use trellis_core::model::ClusterEndpoint;

use super::Compiler;
use crate::mistake::hint;
use crate::table::Upstream;

impl<'m> Compiler<'m> {
    /// Checks `[[cluster]]`.
    pub(super) fn clusters(&mut self) {
        for (index, cluster) in self.model.cluster.iter().enumerate() {
            let at = format!("cluster[{index}]");
            if cluster.endpoints.is_empty() {
                self.mistakes.add(format!("{at}.endpoints"), "a cluster needs at least one \"host:port\"");
            }
            for (n, endpoint) in cluster.endpoints.iter().map(ClusterEndpoint::address).enumerate() {
                if !is_host_and_port(endpoint) {
                    let message = format!("{endpoint:?} is not \"host:port\", such as \"127.0.0.1:9000\"");
                    self.mistakes.add(format!("{at}.endpoints[{n}]"), message);
                }
            }
            if self.clusters.insert(&cluster.name, &cluster.endpoints).is_some() {
                self.mistakes
                    .add(format!("{at}.name"), format!("there is a cluster {:?} already", cluster.name));
            }
        }
    }

    /// The upstream that a route or part names, by its index. `at` is the route or part.
    pub(super) fn upstream(
        &mut self,
        at: &str,
        service: Option<&'m ServiceName>,
        cluster: Option<&'m ServiceName>,
    ) -> Option<usize> {
        let upstream = match (service, cluster) {
            (Some(service), None) => self.service(&format!("{at}.service"), service)?,
            (None, Some(cluster)) => self.cluster(&format!("{at}.cluster"), cluster)?,
            _ => return None,
        };
        let next = self.upstreams.len();
        let index = *self.upstreams.entry(upstream.clone()).or_insert(next);
        if index == next {
            self.table.upstreams.push(upstream);
        }
        Some(index)
    }

    fn service(&mut self, at: &str, name: &ServiceName) -> Option<Upstream> {
        let modules = &self.model.module;
        if modules.is_empty() || modules.contains_key(name) {
            return Some(Upstream::Service(name.clone()));
        }
        let fix = if self.clusters.contains_key(name) {
            format!("; there is a cluster of this name: write cluster = {name:?}")
        } else {
            hint(name.as_str(), modules.keys().map(ServiceName::as_str))
        };
        self.mistakes.add(at, format!("there is no [module.{name}]{fix}"));
        None
    }

    fn cluster(&mut self, at: &str, name: &ServiceName) -> Option<Upstream> {
        if let Some(endpoints) = self.clusters.get(name) {
            return Some(Upstream::Fixed(
                name.clone(),
                endpoints.iter().map(|e| e.address().into()).collect(),
            ));
        }
        let fix = if self.model.module.contains_key(name) {
            format!("; there is a module of this name: write service = {name:?}")
        } else {
            hint(name.as_str(), self.clusters.keys().map(|known| known.as_str()))
        };
        self.mistakes.add(at, format!("there is no [[cluster]] with name = {name:?}{fix}"));
        None
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let has_port = authority.port_u16().is_some_and(|port| port > 0);
    has_port && !authority.host().is_empty() && !text.contains('@')
}
