//! What clients say of a service, in either spelling.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use trellis_registry::{Labels, Lease, Registration, Weights};

use crate::health::name_of;
use crate::refusal::{Refusal, Reply};
use crate::request::{Object, Params};
use crate::wire::write_address;
use crate::{labels, mesh};

/// What a client says of a service, taken apart.
pub(crate) struct Given {
    /// A registration on the own node without its checks.
    pub(crate) registration: Registration,
    /// The checks as they came.
    pub(crate) checks: Vec<Object>,
    /// The proxy that is to be registered with it, as it came.
    pub(crate) sidecar: Option<Object>,
}

pub(crate) fn read(mut object: Object, params: &Params) -> Reply<Given> {
    object.without(&["SocketPath", "Ports"], "a service has one address and one port")?;
    let name = object.first_text(&["Name", "Service"])?;
    if name.is_empty() {
        return Err(Refusal::bad("Missing service name"));
    }
    let service = name_of(&name)?;
    let (mut kept, sidecar) = mesh::read(&mut object, &name)?;
    let id = match object.text("ID")? {
        id if id.is_empty() => name,
        id => id,
    };
    let id = id.parse().map_err(|error| Refusal::bad(format!("Invalid service ID {id:?}: {error}")))?;
    let port = object.number("Port")?.unwrap_or(0);
    let port = u16::try_from(port).map_err(|_| Refusal::bad(format!("Invalid Port {port}: 0 to 65535")))?;
    let mut checks = object.objects("Checks")?;
    if let Some(check) = object.object("Check")? {
        checks.insert(0, check);
    }
    let metadata = object.labels("Meta")?;
    if let Some(key) = metadata.keys().find(|key| key.starts_with(labels::PREFIX)) {
        return Err(Refusal::bad(format!("Invalid Service Meta: {key:?} begins with {:?}", labels::PREFIX)));
    }
    let (zone, region) = locality(object.object("Locality")?)?;
    kept.extend(region.map(|region| (labels::REGION.to_owned(), region)));
    kept.extend(metadata);
    let registration = Registration {
        namespace: params.namespace()?,
        tags: object.texts("Tags")?.into_iter().collect(),
        metadata: kept.into(),
        weights: weights(object.object("Weights")?)?,
        zone,
        tagged_addresses: addresses(object.map("TaggedAddresses")?)?,
        enable_tag_override: object.flag("EnableTagOverride")?,
        lease: Lease::None,
        ..Registration::new(id, service, object.text("Address")?, port)
    };
    Ok(Given { registration, checks, sidecar })
}

fn weights(object: Option<Object>) -> Reply<Weights> {
    let Some(mut object) = object else { return Ok(Weights::default()) };
    let passing = object.small("Passing")?.unwrap_or(1);
    Ok(Weights { passing, warning: object.small("Warning")?.unwrap_or(1) })
}

/// Zone and region.
fn locality(object: Option<Object>) -> Reply<(Option<Arc<str>>, Option<String>)> {
    let Some(mut object) = object else { return Ok((None, None)) };
    let (zone, region) = (object.text("Zone")?, object.text("Region")?);
    Ok(((!zone.is_empty()).then(|| zone.into()), (!region.is_empty()).then_some(region)))
}

fn addresses(map: BTreeMap<String, Value>) -> Reply<Labels> {
    let one = |(network, value): (String, Value)| {
        let mut object = Object::new("TaggedAddresses", value)?;
        let port = object.number("Port")?.unwrap_or(0);
        let port =
            u16::try_from(port).map_err(|_| Refusal::bad(format!("Invalid Port {port}: 0 to 65535")))?;
        Ok((network, write_address(&object.text("Address")?, port)))
    };
    Ok(map.into_iter().map(one).collect::<Reply<BTreeMap<_, _>>>()?.into())
}
