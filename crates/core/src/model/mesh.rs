//! `[mesh]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, Share};

/// `[mesh]`: the proxies beside the instances in the phase `service_mesh`. What they do about failures is what
/// `[[cluster]]` and `[gateway]` say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mesh {
    /// Longest wait for an answer to begin, unless the service's `[[cluster]]` has a `timeout`. A caller that says how
    /// long it waits (`trellis-timeout-ms`) is not kept longer than that.
    pub timeout: HumanDuration,
    /// Threads that carry requests in each proxy; 0 is one for each core.
    #[schemars(range(max = 1024))]
    pub workers: u32,
    /// Write a log line for each request that comes in or goes out.
    pub access_log: bool,
    /// Share of requests that get their log line; those that fail always do.
    pub access_log_sample: Share,
    /// Speak TLS from proxy to proxy; in the clear if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<MeshTls>,
}

/// `[mesh] tls`: what all proxies show each other. Relative paths start from the folder of `trellis.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeshTls {
    /// PEM file with the certificate that every proxy shows and those that lead to its authority.
    pub cert: String,
    /// PEM file with the private key of `cert`.
    pub key: String,
    /// PEM file with the authorities that the other side's certificate must come from.
    pub ca: String,
    /// Name that must be in the other side's certificate.
    #[serde(default = "server_name")]
    pub server_name: String,
}

impl Default for Mesh {
    fn default() -> Self {
        Self {
            timeout: HumanDuration::from_secs(300),
            workers: 1,
            access_log: false,
            access_log_sample: Share::ALL,
            tls: None,
        }
    }
}

fn server_name() -> String {
    "mesh.trellis".into()
}
