//! From entries to a chain: routing, then splitting, then resolving.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::model::{Next, Resolver, Router, Splitter};
use crate::kept::Kept;
use crate::refusal::{Refusal, Reply};
use crate::request::format_duration;

/// Protocols whose requests can be told apart, so that they can be routed and split.
const LAYER_7: [&str; 4] = ["http", "http2", "grpc", "grpc-web"];
const DEFAULT_PROTOCOL: &str = "tcp";
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a client wants otherwise than the entries say.
#[derive(Debug, Clone, Default)]
pub(super) struct Overrides {
    pub(super) protocol: Option<String>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) mesh_gateway: Option<String>,
}

/// Makes one chain. Finds an entry by kind and name.
pub(super) struct Compiler<'a> {
    find: &'a dyn Fn(&str, &str) -> Reply<Option<Kept>>,
    datacenter: &'a str,
    overrides: Overrides,
    protocol: String,
    nodes: BTreeMap<String, Value>,
    targets: BTreeMap<String, Value>,
    /// Splitters that are being looked at.
    open: BTreeSet<String>,
    /// Whether some entry is part of the chain.
    has_entries: bool,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(
        find: &'a dyn Fn(&str, &str) -> Reply<Option<Kept>>,
        datacenter: &'a str,
        overrides: Overrides,
    ) -> Self {
        let (nodes, targets, open) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self {
            find,
            datacenter,
            overrides,
            protocol: String::new(),
            nodes,
            targets,
            open,
            has_entries: false,
        }
    }

    pub(super) fn compile(mut self, service: &str) -> Reply<Value> {
        self.protocol = match self.overrides.protocol.clone() {
            Some(protocol) => protocol,
            None => self.protocol_of(service)?,
        };
        let start = match (self.find)("service-router", service)? {
            Some(kept) => self.router(service, &Router::read(&kept)?)?,
            None => self.split_or_resolve(service)?,
        };
        Ok(json!({
            "ServiceName": service,
            "Namespace": "default",
            "Partition": "default",
            "Datacenter": self.datacenter,
            "Protocol": self.protocol,
            "Default": !self.has_entries,
            "StartNode": start,
            "Nodes": self.nodes,
            "Targets": self.targets,
        }))
    }

    /// What is said of the service, or of all.
    fn protocol_of(&self, service: &str) -> Reply<String> {
        let own = (self.find)("service-defaults", service)?;
        let own = own.as_ref().map(|kept| kept.text("Protocol")).filter(|protocol| !protocol.is_empty());
        if let Some(protocol) = own {
            return Ok(protocol.to_ascii_lowercase());
        }
        let all = (self.find)("proxy-defaults", "global")?;
        let all = all.as_ref().and_then(|kept| kept.object.get("Config")?.get("protocol")?.as_str());
        Ok(all.unwrap_or(DEFAULT_PROTOCOL).to_ascii_lowercase())
    }

    fn may_choose(&mut self, service: &str) -> Reply<()> {
        self.has_entries = true;
        if LAYER_7.contains(&self.protocol.as_str()) {
            return Ok(());
        }
        Err(Refusal::failed(format!(
            "discovery chain {service:?} uses a protocol {:?} that does not permit advanced routing or splitting behavior",
            self.protocol
        )))
    }

    fn router(&mut self, service: &str, router: &Router) -> Reply<String> {
        self.may_choose(service)?;
        let rest = json!({
            "Match": {"HTTP": {"PathPrefix": "/"}},
            "Destination": {"Service": service},
        });
        let routes = router.routes.iter().cloned().chain([(rest, Next::default())]);
        let mut told = Vec::new();
        for (definition, next) in routes.collect::<Vec<_>>() {
            let to = if next.service.is_empty() { service } else { &next.service };
            let node = if next.subset.is_empty() {
                self.split_or_resolve(to)?
            } else {
                self.resolver(to, &next.subset)?
            };
            told.push(json!({"Definition": definition, "NextNode": node}));
        }
        let name = named(service);
        let id = format!("router:{name}");
        self.nodes.insert(id.clone(), json!({"Type": "router", "Name": name, "Routes": told}));
        Ok(id)
    }

    fn split_or_resolve(&mut self, service: &str) -> Reply<String> {
        let Some(kept) = (self.find)("service-splitter", service)? else { return self.resolver(service, "") };
        let name = named(service);
        let id = format!("splitter:{name}");
        if self.nodes.contains_key(&id) {
            return Ok(id);
        }
        self.may_choose(service)?;
        if !self.open.insert(service.to_owned()) {
            return Err(circular(service));
        }
        let mut told = Vec::new();
        for (weight, next) in Splitter::read(&kept)?.splits {
            let to = if next.service.is_empty() { service } else { &next.service };
            let node = if next.subset.is_empty() && !to.eq_ignore_ascii_case(service) {
                self.split_or_resolve(to)?
            } else {
                self.resolver(to, &next.subset)?
            };
            told.extend(self.flat(weight, node));
        }
        self.open.remove(service);
        self.nodes.insert(id.clone(), json!({"Type": "splitter", "Name": name, "Splits": told}));
        Ok(id)
    }

    /// A share of a splitter is a share of each of its own.
    fn flat(&self, weight: f64, node: String) -> Vec<Value> {
        let share = |weight: f64, node: &Value| json!({"Weight": weight, "NextNode": node});
        let inner = self.nodes.get(&node).and_then(|node| node["Splits"].as_array());
        match inner {
            None => vec![share(weight, &node.into())],
            Some(splits) => {
                let of = |split: &Value| split["Weight"].as_f64().unwrap_or_default() * weight / 100.0;
                let rounded = |share: f64| (share * 100.0).round() / 100.0;
                splits.iter().map(|split| share(rounded(of(split)), &split["NextNode"])).collect()
            }
        }
    }

    fn resolver(&mut self, service: &str, subset: &str) -> Reply<String> {
        let (to, resolver) = self.resolve(service, subset)?;
        let target = self.target(&to, resolver.as_ref())?;
        let id = format!("resolver:{target}");
        if self.nodes.contains_key(&id) {
            return Ok(id);
        }
        let mut told = Map::new();
        told.insert("Default".into(), json!(resolver.is_none()));
        let resolver = resolver.unwrap_or_default();
        told.insert("ConnectTimeout".into(), format_duration(self.connect_timeout(&resolver)).into());
        if let Some(timeout) = resolver.request_timeout {
            told.insert("RequestTimeout".into(), format_duration(timeout).into());
        }
        told.insert("Target".into(), target.as_str().into());
        let failover = resolver.failover.get(&to.subset).or_else(|| resolver.failover.get("*"));
        let mut others = Vec::new();
        for next in failover.into_iter().flatten() {
            let to_service = if next.service.is_empty() { &to.service } else { &next.service };
            let (to, resolver) = self.resolve(to_service, &next.subset)?;
            let other = self.target(&to, resolver.as_ref())?;
            if other != target {
                others.push(other);
            }
        }
        if !others.is_empty() {
            told.insert("Failover".into(), json!({"Targets": others}));
        }
        self.nodes.insert(id.clone(), json!({"Type": "resolver", "Name": target, "Resolver": told}));
        Ok(id)
    }

    /// Follows redirects and default subsets to their end; and the resolver there, if there is one.
    fn resolve(&mut self, service: &str, subset: &str) -> Reply<(Next, Option<Resolver>)> {
        let mut at = Next { service: service.to_owned(), subset: subset.to_owned() };
        let mut seen = Vec::new();
        loop {
            if seen.contains(&at) {
                return Err(circular(&at.service));
            }
            seen.push(at.clone());
            let kept = (self.find)("service-resolver", &at.service)?;
            let Some(resolver) = kept.as_ref().map(Resolver::read).transpose()? else {
                return if at.subset.is_empty() { Ok((at, None)) } else { Err(no_subset(&at)) };
            };
            self.has_entries = true;
            if let Some(next) = resolver.redirect {
                if !next.service.is_empty() {
                    at.service = next.service;
                }
                at.subset = next.subset;
                continue;
            }
            if at.subset.is_empty() && !resolver.default_subset.is_empty() {
                at.subset.clone_from(&resolver.default_subset);
            }
            if !at.subset.is_empty() && !resolver.subsets.contains_key(&at.subset) {
                return Err(no_subset(&at));
            }
            return Ok((at, Some(resolver)));
        }
    }

    /// The id of a target, which is among the chain's from now on.
    fn target(&mut self, to: &Next, resolver: Option<&Resolver>) -> Reply<String> {
        let subset = if to.subset.is_empty() { String::new() } else { format!("{}.", to.subset) };
        let id = format!("{subset}{}.{}", named(&to.service), self.datacenter);
        if self.targets.contains_key(&id) {
            return Ok(id);
        }
        let protocol = self.protocol_of(&to.service)?;
        if self.overrides.protocol.is_none() && protocol != self.protocol {
            return Err(Refusal::failed(format!(
                "discovery chain uses inconsistent protocols; service {:?} has {protocol:?} which is not {:?}",
                to.service, self.protocol
            )));
        }
        let timeout = self.connect_timeout(resolver.unwrap_or(&Resolver::default()));
        let choice = resolver.and_then(|known| known.subsets.get(&to.subset).cloned());
        let mode = self.overrides.mesh_gateway.as_ref();
        let target = json!({
            "ID": id,
            "Service": to.service,
            "ServiceSubset": to.subset,
            "Namespace": "default",
            "Partition": "default",
            "Datacenter": self.datacenter,
            "MeshGateway": mode.map_or_else(|| json!({}), |mode| json!({"Mode": mode})),
            "Subset": choice.unwrap_or_else(|| json!({})),
            "ConnectTimeout": format_duration(timeout),
        });
        self.targets.insert(id.clone(), target);
        Ok(id)
    }

    fn connect_timeout(&self, resolver: &Resolver) -> Duration {
        self.overrides.connect_timeout.or(resolver.connect_timeout).unwrap_or(DEFAULT_CONNECT_TIMEOUT)
    }
}

/// A service with the namespace and partition that it always has.
fn named(service: &str) -> String {
    format!("{service}.default.default")
}

fn circular(service: &str) -> Refusal {
    Refusal::failed(format!("the entries about {service:?} lead in a circle"))
}

fn no_subset(at: &Next) -> Refusal {
    Refusal::failed(format!("service {:?} does not have a subset named {:?}", at.service, at.subset))
}
