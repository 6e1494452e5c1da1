//! The names that routes call, and what they stand for.

use std::sync::Arc;

use trellis_core::ServiceName;
use trellis_core::model;

use super::Compiler;
use crate::mistake::hint;
use crate::table::{Defaults, Key, TcpRoute, Upstream};

impl<'m> Compiler<'m> {
    /// The upstream that a route or part names, by its index. `at` is the route or part.
    pub(super) fn upstream(
        &mut self,
        at: &str,
        service: Option<&'m ServiceName>,
        cluster: Option<&'m ServiceName>,
    ) -> Option<usize> {
        let (name, settings) = match (service, cluster) {
            (Some(service), None) => self.service(&format!("{at}.service"), service)?,
            (None, Some(cluster)) => self.cluster(&format!("{at}.cluster"), cluster)?,
            _ => return None,
        };
        if let Some(index) = self.upstreams.get(&name) {
            return Some(*index);
        }
        let hash = match &settings.hash {
            // A mistake in it is told where the cluster is checked.
            Some(source) => Some(Key::compile(source).ok()?),
            None => None,
        };
        let defaults = Defaults::of(&settings, &self.model.gateway);
        let upstream = Upstream { settings: Arc::new(settings), defaults, hash };
        let index = self.table.upstreams.len();
        self.upstreams.insert(name, index);
        self.table.upstreams.push(upstream);
        Some(index)
    }

    /// `[[tcp]]`
    pub(super) fn tcp(&mut self, index: usize, tcp: &'m model::Tcp) {
        let at = format!("tcp[{index}]");
        self.one_of_both(&at, (tcp.service.as_ref(), tcp.cluster.as_ref()));
        self.longer_than_zero(format!("{at}.connect_timeout"), tcp.connect_timeout);
        self.longer_than_zero(format!("{at}.idle_timeout"), Some(tcp.idle_timeout));
        let Some(upstream) = self.upstream(&at, tcp.service.as_ref(), tcp.cluster.as_ref()) else { return };
        let settings = &self.table.upstreams[upstream].settings;
        let connect_timeout = tcp.connect_timeout.or(settings.connect_timeout);
        let connect_timeout = connect_timeout.unwrap_or(self.model.gateway.connect_timeout);
        self.table.tcp.push(TcpRoute {
            origin: at,
            listen: tcp.listen,
            upstream,
            connect_timeout: connect_timeout.into(),
            idle_timeout: tcp.idle_timeout.into(),
            max_connections: tcp.max_connections,
        });
    }

    /// A mistake if routes cannot lead to the service `name`.
    pub(super) fn known_service(&mut self, at: &str, name: &ServiceName) -> Option<()> {
        let modules = &self.model.module;
        if modules.is_empty() || modules.contains_key(name) {
            return Some(());
        }
        let fix = if self.model.cluster.iter().any(|cluster| cluster.name == *name) {
            format!("; there is a cluster of this name: write cluster = {name:?}")
        } else {
            hint(name.as_str(), modules.keys().map(ServiceName::as_str))
        };
        self.mistakes.add(at, format!("there is no [module.{name}]{fix}"));
        None
    }

    /// What tells the upstream apart, and its settings.
    fn service(&mut self, at: &str, name: &ServiceName) -> Option<(Named, model::Cluster)> {
        self.known_service(at, name)?;
        if let Some(policy) = self.policies.get(name) {
            return Some((Named::Cluster(policy.name.clone()), (*policy).clone()));
        }
        let service = Some(name.clone());
        Some((Named::Service(name.clone()), model::Cluster { service, ..model::Cluster::new(name.clone()) }))
    }

    fn cluster(&mut self, at: &str, name: &ServiceName) -> Option<(Named, model::Cluster)> {
        if let Some(cluster) = self.clusters.get(name) {
            return Some((Named::Cluster(name.clone()), (*cluster).clone()));
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

/// What an upstream is known by while a file is compiled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Named {
    Service(ServiceName),
    Cluster(ServiceName),
}
