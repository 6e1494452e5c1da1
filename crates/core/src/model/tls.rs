//! `[gateway.tls]` and `tls` of a `[[cluster]]`

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HumanDuration;

/// `[gateway.tls]`: the door for clients that speak TLS, beside the one that `[gateway] listen` opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Address for clients.
    #[serde(default = "default_listen")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// What the gateway shows. A client that names a host gets the one that is valid for it, others the first.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub certificates: Vec<Certificate>,
    /// How often the files are looked at; new ones hold for new connections.
    #[serde(default = "default_reload")]
    pub reload: HumanDuration,
    /// Oldest version of TLS that is spoken.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// PEM file with the authorities that clients' certificates must come from; clients need none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<String>,
    /// Offer HTTP/2 (ALPN).
    #[serde(default = "yes")]
    pub http2: bool,
}

/// A certificate with its key. Relative paths start from the folder of `trellis.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// PEM file with the certificate and those that lead to its authority.
    pub cert: String,
    /// PEM file with the private key.
    pub key: String,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 and newer.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// `tls` of a `[[cluster]]`: instances are spoken to over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// PEM file with the authorities that instances' certificates must come from; the web's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Name that must be in their certificates; the host of the endpoint if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// PEM file with the gateway's own certificate, if instances ask for one; together with `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    /// PEM file with the private key of `cert`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Take any certificate. Whoever is on the way can read and change everything; for tests only.
    pub insecure: bool,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8443))
}

fn default_reload() -> HumanDuration {
    HumanDuration::from_secs(5)
}

fn yes() -> bool {
    true
}
