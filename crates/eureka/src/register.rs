//! From what an instance says of itself to what the registry takes in.

use std::net::IpAddr;
use std::sync::Arc;

use trellis_core::{Error, InstanceId, codes};
use trellis_registry::{Handle, Labels, Lease, MAX_VERSION, MAX_ZONE, Name, Registration};

use crate::read::{Announced, Port};
use crate::{labels, names};

/// The registration of an instance, under the id with which it came.
pub(crate) fn registration(announced: &Announced, service: &Name) -> Result<Registration, Error> {
    let host = host(announced);
    let port = traffic_port(announced.port, announced.secure_port);
    let mut kept = announced.kept.clone();
    kept.insert(labels::HOST_NAME.into(), announced.host_name.clone());
    if announced.ip_addr != host {
        kept.insert(labels::IP_ADDR.into(), announced.ip_addr.clone());
    }
    if announced.port != Some(Port { number: port, enabled: true }) {
        let said = announced.port.unwrap_or(Port { number: 0, enabled: false });
        kept.insert(labels::PORT.into(), said.to_label());
    }
    if let Some(said) = announced.secure_port {
        kept.insert(labels::SECURE_PORT.into(), said.to_label());
    }
    let own = |key: &str, most: usize| {
        let value = announced.metadata.get(key).filter(|value| (1..=most).contains(&value.len()));
        value.map(|value| Arc::<str>::from(value.as_str()))
    };
    let center = announced.zone.as_deref().filter(|zone| zone.len() <= MAX_ZONE).map(Into::into);
    let metadata: Labels =
        announced.metadata.iter().chain(&kept).map(|(k, v)| (k.as_str(), v.as_str())).collect_labels();
    Ok(Registration {
        metadata,
        zone: own("zone", MAX_ZONE).or(center),
        version: own("version", MAX_VERSION),
        status: announced.status,
        lease: Lease::For(announced.lease),
        ..Registration::new(names::id(&announced.id)?, service.clone(), host, port)
    })
}

/// The same, under an id that no other app has: the one with which it came, unless another app was first. Then the name
/// of the app is made part of it, and stays part of it for as long as the instance is there.
pub(crate) fn with_own_id(registry: &Handle, registration: Registration) -> Result<Registration, Error> {
    let find = |id: &InstanceId| registry.find(&registry.own_key(id));
    let is_others = |id: &InstanceId| {
        find(id).is_some_and(|entry| entry.instance.definition.service != registration.service)
    };
    // Fails only for ids that are too long to be made longer, which matters only if they have to be.
    let qualified = names::qualified(registration.id.as_str(), &registration.service);
    let is_known = qualified.as_ref().is_ok_and(|id| {
        let known = find(id).filter(|entry| entry.instance.definition.service == registration.service);
        known.is_some_and(|entry| entry.instance.definition.metadata.get(labels::INSTANCE_ID).is_some())
    });
    if !is_known && !is_others(&registration.id) {
        return Ok(registration);
    }
    let id = qualified?;
    if is_others(&id) {
        let text = format!("instance {id} belongs to another app; use another id");
        return Err(Error::new(codes::CONFLICT, text));
    }
    let shown = [(labels::INSTANCE_ID, registration.id.as_str())];
    let metadata = registration.metadata.iter().chain(shown).collect_labels();
    Ok(Registration { id, metadata, ..registration })
}

/// Where the instance is reached. Names that clients give are often known to nobody else, so the address goes first.
fn host(announced: &Announced) -> &str {
    match announced.ip_addr.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() => &announced.ip_addr,
        _ => &announced.host_name,
    }
}

/// The port that takes traffic: the plain one if it is on, else the one with TLS if that is. 0: none.
fn traffic_port(port: Option<Port>, secure_port: Option<Port>) -> u16 {
    let on = [port, secure_port].into_iter().flatten().find(|port| port.enabled);
    on.map_or(0, |port| port.number)
}

/// Puts labels together.
pub(crate) trait CollectLabels<'a> {
    /// The last of several values of a key counts.
    fn collect_labels(self) -> Labels;
}

impl<'a, I: Iterator<Item = (&'a str, &'a str)>> CollectLabels<'a> for I {
    fn collect_labels(self) -> Labels {
        self.map(|(key, value)| (Box::from(key), Box::from(value))).collect()
    }
}
