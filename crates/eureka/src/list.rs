//! The lists that clients ask for: everything, what changed, one app, one virtual host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use trellis_registry::{
    Change, ChangeKind, Changes, Handle, Name, Namespace, Nodes, ServiceKey, ServiceSnapshot, Topic,
};

use crate::read::Format;
use crate::show::{Action, Document, HashCode, Json, Shown, Xml, application, applications};
use crate::{gzip, names};

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    /// All apps.
    All,
    /// What changed within this time, or all apps if that is not known.
    Delta(Duration),
    /// One app.
    App(Name),
    /// All instances at a virtual host.
    VirtualHost {
        /// What it is called.
        name: String,
        /// Whether it is one for TLS.
        is_secure: bool,
    },
}

impl View {
    /// The list in a format, made once for all who ask for it while it does not change. Empty if there is nothing that
    /// was asked for.
    pub(crate) fn answer(&self, registry: &Handle, format: Format, is_gzip: bool) -> Bytes {
        let (topic, variant) = (self.topic(), self.variant(format));
        let plain = |registry: &Handle| match format {
            Format::Json => self.make::<Json>(registry),
            Format::Xml => self.make::<Xml>(registry),
        };
        if !is_gzip {
            return registry.cached(&topic, &variant, |registry| plain(registry).into()).body.clone();
        }
        let compressed = |registry: &Handle| {
            let plain = registry.cached(&topic, &variant, |registry| plain(registry).into());
            if plain.body.is_empty() { Bytes::new() } else { gzip::compress(&plain.body).unwrap_or_default() }
        };
        registry.cached(&topic, &format!("{variant} gzip"), compressed).body.clone()
    }

    fn topic(&self) -> Topic {
        match self {
            Self::App(name) => Topic::Service(ServiceKey::of(name.clone())),
            _ => Topic::All,
        }
    }

    fn variant(&self, format: Format) -> String {
        match self {
            Self::All => format!("eureka apps {format:?}"),
            Self::Delta(window) => format!("eureka delta {} {format:?}", window.as_millis()),
            Self::App(_) => format!("eureka app {format:?}"),
            Self::VirtualHost { name, is_secure } => format!("eureka vip {is_secure} {format:?} {name}"),
        }
    }

    fn make<D: Document>(&self, registry: &Handle) -> Vec<u8> {
        match self {
            Self::All => all::<D>(registry),
            Self::Delta(window) => match registry.changes_within(*window) {
                Changes::Since(changes) => delta::<D>(registry, &changes),
                Changes::Resync => all::<D>(registry),
            },
            Self::App(name) => {
                let snapshot = registry.snapshot(&ServiceKey::of(name.clone()));
                if snapshot.entries.is_empty() {
                    return Vec::new();
                }
                application::<D>(&names::app(&snapshot.key.name), &shown(&snapshot, registry.own_node()))
            }
            Self::VirtualHost { name, is_secure } => virtual_host::<D>(registry, name, *is_secure),
        }
    }
}

/// The services that have instances.
pub(crate) fn services(registry: &Handle) -> Vec<Arc<ServiceSnapshot>> {
    let catalog = registry.catalog(&Namespace::default());
    let snapshots = catalog.services.keys().map(|name| registry.snapshot(&ServiceKey::of(name.clone())));
    snapshots.filter(|snapshot| !snapshot.entries.is_empty()).collect()
}

/// Eureka's sum over all instances.
pub(crate) fn hash_code(services: &[Arc<ServiceSnapshot>]) -> HashCode {
    let mut code = HashCode::default();
    services.iter().flat_map(|service| &service.entries).for_each(|entry| code.count(entry.instance.status));
    code
}

fn shown<'a>(snapshot: &'a ServiceSnapshot, own: &Name) -> Vec<Shown<'a>> {
    snapshot.entries.iter().map(|entry| Shown::entry(entry, own)).collect()
}

fn all<D: Document>(registry: &Handle) -> Vec<u8> {
    let (services, own) = (services(registry), registry.own_node());
    let apps = services.iter().map(|service| (names::app(&service.key.name), shown(service, own)));
    applications::<D>(&hash_code(&services), apps)
}

fn virtual_host<D: Document>(registry: &Handle, name: &str, is_secure: bool) -> Vec<u8> {
    let (services, own) = (services(registry), registry.own_node());
    let mut code = HashCode::default();
    let mut found: Vec<(String, Vec<Shown<'_>>)> = Vec::new();
    for service in &services {
        let mut instances = shown(service, own);
        instances.retain(|instance| instance.has_virtual_host(name, is_secure));
        for instance in &instances {
            code.count(instance.status);
        }
        if !instances.is_empty() {
            found.push((names::app(&service.key.name), instances));
        }
    }
    if found.is_empty() {
        return Vec::new();
    }
    applications::<D>(&code, found.into_iter())
}

/// The changes by app, each instance once, with the sum over everything that is there.
fn delta<D: Document>(registry: &Handle, changes: &[Change]) -> Vec<u8> {
    let (own, nodes) = (registry.own_node(), registry.nodes());
    let mut apps: BTreeMap<&Name, Vec<Shown<'_>>> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.instance.key.namespace.is_default()) {
        let action = match change.kind {
            ChangeKind::Added => Action::Added,
            ChangeKind::Modified => Action::Modified,
            ChangeKind::Removed => Action::Deleted,
        };
        let shown = Shown::new(&change.instance, host(change, &nodes), own, action);
        apps.entry(&change.instance.definition.service).or_default().push(shown);
    }
    let apps = apps.into_iter().map(|(name, instances)| (names::app(name), instances));
    applications::<D>(&hash_code(&services(registry)), apps)
}

/// Where an instance of a change is reached: its own host, or that of its node, if that is still there.
fn host<'a>(change: &'a Change, nodes: &'a Nodes) -> &'a str {
    let own = &*change.instance.definition.host;
    if !own.is_empty() {
        return own;
    }
    let at = nodes.nodes.binary_search_by(|node| node.name().cmp(&change.instance.key.node));
    at.ok().and_then(|at| nodes.nodes.get(at)).map_or("", |node| &node.definition.address)
}
