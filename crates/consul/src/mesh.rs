//! Services of Consul's mesh: its proxies and gateways, registered and found like any other. Nobody runs or configures
//! them here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use trellis_registry::{
    CheckDefinition, CheckKind, CheckOwner, Definition, Entry, Handle, InstanceKey, Registration, ServiceKey,
};

use crate::labels;
use crate::refusal::{Refusal, Reply};
use crate::request::Object;

const CONNECT_PROXY: &str = "connect-proxy";
/// Kinds of instances that are no services.
const KINDS: [&str; 5] =
    [CONNECT_PROXY, "mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway"];
/// Ports that sidecars are given that do not say.
const PORTS: std::ops::RangeInclusive<u16> = 21_000..=21_255;
/// Names of what a proxy is configured with, which clients may spell otherwise.
const PROXY_FIELDS: [&str; 13] = [
    "DestinationServiceName",
    "DestinationServiceID",
    "LocalServiceAddress",
    "LocalServicePort",
    "LocalServiceSocketPath",
    "Mode",
    "Config",
    "Upstreams",
    "MeshGateway",
    "Expose",
    "TransparentProxy",
    "AccessLogs",
    "EnvoyExtensions",
];
const UPSTREAM_FIELDS: [&str; 12] = [
    "DestinationType",
    "DestinationNamespace",
    "DestinationPartition",
    "DestinationPeer",
    "DestinationName",
    "Datacenter",
    "LocalBindAddress",
    "LocalBindPort",
    "LocalBindSocketPath",
    "LocalBindSocketMode",
    "Config",
    "MeshGateway",
];

/// What a registration says of the mesh, as labels; and the sidecar that is to be registered with it.
pub(crate) fn read(object: &mut Object, service: &str) -> Reply<(BTreeMap<String, String>, Option<Object>)> {
    let mut kept = BTreeMap::new();
    let kind = object.text("Kind")?;
    if !kind.is_empty() && !KINDS.contains(&kind.as_str()) {
        return Err(Refusal::bad(format!("Invalid Kind {kind:?}: one of {}", KINDS.join(", "))));
    }
    let proxy = proxy(object.map("Proxy")?)?;
    let destination = proxy.get("DestinationServiceName").and_then(Value::as_str).unwrap_or_default();
    if kind == CONNECT_PROXY && destination.is_empty() {
        return Err(Refusal::bad(
            "Proxy.DestinationServiceName must be non-empty for Connect proxy services",
        ));
    }
    if kind != CONNECT_PROXY && !destination.is_empty() {
        return Err(Refusal::bad(format!(
            "Proxy.DestinationServiceName is for the kind {CONNECT_PROXY}, and {service} is none"
        )));
    }
    let mut sidecar = None;
    if let Some(mut connect) = object.object("Connect")? {
        if connect.flag("Native")? {
            kept.insert(labels::NATIVE.to_owned(), "true".to_owned());
        }
        sidecar = connect.object("SidecarService")?;
    }
    if !kind.is_empty() {
        kept.insert(labels::KIND.to_owned(), kind);
    }
    if !proxy.is_empty() {
        kept.extend(labels::split(labels::PROXY, &Value::Object(proxy).to_string()));
    }
    Ok((kept, sidecar))
}

/// How a proxy is configured, with the names of fields as Consul spells them.
fn proxy(given: BTreeMap<String, Value>) -> Reply<Map<String, Value>> {
    let mut proxy = spelt(given, &PROXY_FIELDS);
    if let Some(upstreams) = proxy.get_mut("Upstreams") {
        let wrong = || Refusal::bad("Request decode failed: Upstreams is not a list of objects");
        for upstream in upstreams.as_array_mut().ok_or_else(wrong)? {
            let fields = std::mem::take(upstream.as_object_mut().ok_or_else(wrong)?);
            *upstream = Value::Object(spelt(fields, &UPSTREAM_FIELDS));
        }
    }
    Ok(proxy)
}

fn spelt(given: impl IntoIterator<Item = (String, Value)>, fields: &[&str]) -> Map<String, Value> {
    let fold = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let of =
        |name: String| fields.iter().find(|field| fold(field) == fold(&name)).map_or(name, |f| (*f).into());
    given.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (of(name), value)).collect()
}

/// What kind of proxy or gateway an instance is; a service has none.
pub(crate) fn kind_of(definition: &Definition) -> &str {
    definition.metadata.get(labels::KIND).unwrap_or_default()
}

/// How its proxy is configured, if it says so, with what Consul adds.
pub(crate) fn proxy_of(definition: &Definition) -> Option<Value> {
    let text = labels::joined(&definition.metadata, labels::PROXY)?;
    let Ok(Value::Object(mut proxy)) = serde_json::from_str(&text) else { return None };
    for (name, value) in [("Mode", json!("")), ("MeshGateway", json!({})), ("Expose", json!({}))] {
        proxy.entry(name).or_insert(value);
    }
    Some(Value::Object(proxy))
}

/// The proxies that are registered for a service, and its instances that need none. Nobody has filed them by what they
/// are for, so all instances of the namespace are looked through.
pub(crate) fn instances(registry: &Handle, service: &ServiceKey) -> Vec<Entry> {
    let mut found = Vec::new();
    for name in registry.catalog(&service.namespace).services.keys() {
        let key = ServiceKey { namespace: service.namespace.clone(), name: name.clone() };
        let is_wanted = |entry: &&Entry| {
            let definition = &entry.instance.definition;
            if kind_of(definition) == CONNECT_PROXY {
                let proxy = proxy_of(definition).unwrap_or_default();
                let destination = proxy["DestinationServiceName"].as_str().unwrap_or_default();
                return destination.eq_ignore_ascii_case(service.name.as_str());
            }
            key.name == service.name && definition.metadata.get(labels::NATIVE).is_some()
        };
        found.extend(registry.snapshot(&key).entries.iter().filter(is_wanted).cloned());
    }
    found
}

/// The id of a sidecar.
pub(crate) fn sidecar_id(of: &str) -> String {
    format!("{of}-sidecar-proxy")
}

/// What is registered with an instance as its proxy: as it says, and where it says nothing as Consul has it.
pub(crate) fn fill_sidecar(
    object: &mut Object,
    parent: &Registration,
    port: impl FnOnce() -> Reply<u16>,
) -> Reply<()> {
    let id = parent.id.as_str();
    object.put_if_absent("ID", sidecar_id(id));
    object.put_if_absent("Name", format!("{}-sidecar-proxy", parent.service));
    object.put_if_absent("Kind", CONNECT_PROXY);
    object.put_if_absent("Address", &*parent.host);
    object.put_if_absent("Tags", parent.tags.iter().collect::<Vec<_>>());
    let meta: BTreeMap<_, _> =
        parent.metadata.iter().filter(|(key, _)| !key.starts_with(labels::PREFIX)).collect();
    object.put_if_absent("Meta", json!(meta));
    if object.peek("Port").and_then(Value::as_u64).unwrap_or_default() == 0 {
        object.take("Port");
        object.put_if_absent("Port", port()?);
    }
    let mut proxy = spelt(object.map("Proxy")?, &PROXY_FIELDS);
    for (name, value) in [
        ("DestinationServiceName", json!(parent.service.as_str())),
        ("DestinationServiceID", json!(id)),
        ("LocalServiceAddress", json!("127.0.0.1")),
        ("LocalServicePort", json!(parent.port)),
    ] {
        proxy.entry(name).or_insert(value);
    }
    object.put_if_absent("Proxy", Value::Object(proxy));
    Ok(())
}

/// Whether a sidecar listens, and how its service is; unless it brings checks of its own.
pub(crate) fn sidecar_checks(sidecar: &Registration, parent: InstanceKey) -> [CheckDefinition; 2] {
    let host = if sidecar.host.is_empty() { "127.0.0.1" } else { &sidecar.host };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let id = |n: u8| format!("service:{}:{n}", sidecar.id);
    let listens = CheckKind::Tcp(format!("{host}:{}", sidecar.port).into());
    let name = format!("Connect Sidecar Aliasing {}", parent.id);
    let alias = CheckKind::Alias(CheckOwner::Instance(parent));
    [
        CheckDefinition { name: "Connect Sidecar Listening".into(), ..CheckDefinition::new(id(1), listens) },
        CheckDefinition { name: name.into(), ..CheckDefinition::new(id(2), alias) },
    ]
}

/// The port that a sidecar has, or one that no other on its node has.
pub(crate) fn port_for(registry: &Handle, sidecar: &InstanceKey) -> Reply<u16> {
    let node = registry.node(&sidecar.node);
    let instances = node.iter().flat_map(|node| &node.instances);
    let mut taken = std::collections::BTreeSet::new();
    for instance in instances {
        let port = instance.definition.port;
        if instance.key == *sidecar && PORTS.contains(&port) {
            return Ok(port);
        }
        taken.insert(port);
    }
    PORTS.into_iter().find(|port| !taken.contains(port)).ok_or_else(|| {
        Refusal::failed(format!("no port from {} to {} is left for a sidecar", PORTS.start(), PORTS.end()))
    })
}
