//! Which services gateways of Consul's are said to lead to.

use serde::Serialize;
use trellis_registry::{Entry, Name, ServiceKey};

use super::entry;
use crate::door::Door;
use crate::itself::SERVICE;
use crate::kept::Kept;
use crate::mesh;
use crate::refusal::{Refusal, Reply};
use crate::request::Params;

pub(super) const INGRESS_KIND: &str = "ingress-gateway";
pub(super) const TERMINATING_KIND: &str = "terminating-gateway";
/// Where entries about ingress gateways are kept.
pub(crate) const INGRESS: &str = "ingress-gateway/";
/// Stands for all services.
const ALL: &str = "*";

/// A service behind a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Link {
    gateway: Named,
    service: Named,
    gateway_kind: String,
    #[serde(skip_serializing_if = "is_zero")]
    port: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    protocol: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(rename = "CAFile", skip_serializing_if = "String::is_empty")]
    ca_file: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cert_file: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    key_file: String,
    #[serde(rename = "SNI", skip_serializing_if = "String::is_empty")]
    sni: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    from_wildcard: bool,
    create_index: u64,
    modify_index: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(port: &u16) -> bool {
    *port == 0
}

/// The services that an entry about a gateway names.
pub(super) fn links(kept: &Kept) -> Reply<Vec<Link>> {
    let mut entry = kept.fields()?;
    let kind = entry.text("Kind")?;
    let blank = Link {
        gateway: Named { name: entry.text("Name")? },
        gateway_kind: kind.clone(),
        create_index: kept.create_index,
        modify_index: kept.modify_index,
        ..Link::default()
    };
    let missing = || Refusal::bad("a service of a gateway has a Name");
    let mut links = Vec::new();
    if kind == INGRESS_KIND {
        for mut listener in entry.objects("Listeners")? {
            let port = listener.number("Port")?.unwrap_or(0);
            let port = u16::try_from(port).ok().filter(|port| *port > 0);
            let port = port.ok_or_else(|| Refusal::bad("Port of Listeners is a number from 1 to 65535"))?;
            let protocol = match listener.text("Protocol")? {
                none if none.is_empty() => "tcp".to_owned(),
                protocol => protocol,
            };
            for mut service in listener.objects("Services")? {
                let (name, hosts) = (service.text("Name")?, service.texts("Hosts")?);
                if name.is_empty() {
                    return Err(missing());
                }
                let protocol = protocol.clone();
                links.push(Link { service: Named { name }, port, protocol, hosts, ..blank.clone() });
            }
        }
    } else {
        for mut service in entry.objects("Services")? {
            let name = service.text("Name")?;
            if name.is_empty() {
                return Err(missing());
            }
            links.push(Link {
                service: Named { name },
                ca_file: service.text("CAFile")?,
                cert_file: service.text("CertFile")?,
                key_file: service.text("KeyFile")?,
                sni: service.text("SNI")?,
                ..blank.clone()
            });
        }
    }
    Ok(links)
}

/// The services behind a gateway of either kind; one that stands for all as each of them.
pub(crate) fn services_of(door: &Door, params: &Params, gateway: &str) -> Reply<Vec<Link>> {
    let mut found = Vec::new();
    for kind in [INGRESS_KIND, TERMINATING_KIND] {
        for link in entry(door, kind, gateway)?.map(|kept| links(&kept)).transpose()?.unwrap_or_default() {
            if link.service.name != ALL {
                found.push(link);
                continue;
            }
            let catalog = door.registry.catalog(&params.namespace()?);
            let is_service = |name: &&Name| is_service(door, params, name).unwrap_or_default();
            found.extend(catalog.services.keys().filter(is_service).map(|name| Link {
                service: Named { name: name.to_string() },
                from_wildcard: true,
                ..link.clone()
            }));
        }
    }
    Ok(found)
}

/// Whether a name is that of services, and not of proxies and gateways.
fn is_service(door: &Door, params: &Params, name: &Name) -> Reply<bool> {
    let key = ServiceKey { namespace: params.namespace()?, name: name.clone() };
    let snapshot = door.registry.snapshot(&key);
    let is_plain = |entry: &Entry| mesh::kind_of(&entry.instance.definition).is_empty();
    Ok(name.as_str() != SERVICE && snapshot.entries.iter().any(is_plain))
}

/// The ingress gateways that lead to a service.
pub(crate) fn leading_to(door: &Door, service: &ServiceKey) -> Reply<Vec<Entry>> {
    let mut found = Vec::new();
    for kept in door.kept_under(INGRESS)? {
        let name = service.name.as_str();
        let leads = |link: &Link| link.service.name == ALL || link.service.name.eq_ignore_ascii_case(name);
        if !links(&kept)?.iter().any(leads) {
            continue;
        }
        // A gateway whose name is that of no service has no instances.
        let Ok(name) = kept.text("Name").parse() else { continue };
        let key = ServiceKey { namespace: service.namespace.clone(), name };
        let is_gateway = |entry: &&Entry| mesh::kind_of(&entry.instance.definition) == INGRESS_KIND;
        found.extend(door.registry.snapshot(&key).entries.iter().filter(is_gateway).cloned());
    }
    Ok(found)
}
