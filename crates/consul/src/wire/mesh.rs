//! What an instance says of Consul's mesh and of where it is.

use serde::Serialize;
use serde_json::Value;
use trellis_registry::Definition;

use crate::{labels, mesh};

/// Where an instance is.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Locality<'a> {
    region: &'a str,
    zone: &'a str,
}

impl<'a> Locality<'a> {
    pub(super) fn of(definition: &'a Definition) -> Option<Self> {
        let (region, zone) = (definition.metadata.get(labels::REGION), definition.zone.as_deref());
        (region.is_some() || zone.is_some())
            .then(|| Self { region: region.unwrap_or_default(), zone: zone.unwrap_or_default() })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Proxy {
    mode: &'static str,
    mesh_gateway: Empty,
    expose: Empty,
}

#[derive(Serialize)]
pub(super) struct Empty {}

/// How a proxy of Consul's mesh is configured: as it was registered, or not at all.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Proxied {
    Nothing(Proxy),
    As(Value),
}

const PROXY: Proxy = Proxy { mode: "", mesh_gateway: Empty {}, expose: Empty {} };

impl Proxied {
    pub(super) fn of(definition: &Definition) -> Self {
        mesh::proxy_of(definition).map_or(Self::Nothing(PROXY), Self::As)
    }
}

/// Whether an instance takes part in Consul's mesh without a proxy.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Connect {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) native: bool,
}

impl Connect {
    pub(super) fn of(definition: &Definition) -> Self {
        Self { native: definition.metadata.get(labels::NATIVE).is_some() }
    }
}
