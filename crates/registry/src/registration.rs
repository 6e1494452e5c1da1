//! What an instance says of itself, and whether it may.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trellis_core::{InstanceId, Status};

use crate::error::Fault;
use crate::model::check::CheckDefinition;
use crate::model::labels::{Labels, Tags};
use crate::model::names::{Name, Namespace, ServiceKey};

/// Most labels of one instance.
pub const MAX_METADATA: usize = 64;
/// Longest key of a label, in bytes.
pub const MAX_METADATA_KEY: usize = 128;
/// Longest value of a label, in bytes.
pub const MAX_METADATA_VALUE: usize = 1024;
/// Largest weight. A sum of many still fits 64 bits with room to spare.
pub const MAX_WEIGHT: u32 = 65_535;
/// Longest name of a failure domain, in bytes.
pub const MAX_ZONE: usize = 128;
/// Shortest lease; a shorter one would cost more in renewals than it tells.
pub const MIN_LEASE: Duration = Duration::from_millis(100);
/// Longest lease.
pub const MAX_LEASE: Duration = Duration::from_hours(24);

/// Longest tag, in bytes.
pub const MAX_TAG: usize = 512;
/// Longest version, in bytes.
pub const MAX_VERSION: usize = 128;

/// One instance announces itself, or is announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Where it lives.
    pub namespace: Namespace,
    /// The node that it runs on, which must be registered; `None`: the platform's own.
    pub node: Option<Name>,
    /// Unique for each namespace and node; the last registration of an id replaces those before it.
    pub id: InstanceId,
    /// The service it is a copy of.
    pub service: Name,
    /// Host name or address, without port or brackets; empty: that of its node.
    pub host: Arc<str>,
    /// TCP port; 0: it has none, and is listed, but takes no traffic of the data plane.
    pub port: u16,
    /// Free words by which clients choose.
    pub tags: Tags,
    /// Free labels.
    pub metadata: Labels,
    /// Shares of traffic relative to its siblings; 0 takes none.
    pub weights: Weights,
    /// Failure domain, if known.
    pub zone: Option<Arc<str>>,
    /// Which version of the service it runs, if known.
    pub version: Option<Arc<str>>,
    /// Addresses by network: `lan`, `wan`, `lan_ipv4` and the like.
    pub tagged_addresses: Labels,
    /// Someone else may change its tags; kept and shown, no more.
    pub enable_tag_override: bool,
    /// What it says of itself at first.
    pub status: Status,
    /// Who keeps it alive.
    pub lease: Lease,
    /// What its checks ask. They take the place of those that an earlier registration brought; a check with the same
    /// id goes on with what it knows.
    pub checks: Vec<CheckDefinition>,
    /// Checks that were put on it later ([`Handle::put_check`](crate::Handle::put_check)) stay. Otherwise it has those
    /// of this registration and no more.
    pub keep_checks: bool,
}

/// Shares of traffic relative to siblings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Weights {
    /// While all its checks are passing.
    pub passing: u32,
    /// While one of them is warning.
    pub warning: u32,
}

/// Who keeps an instance registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lease {
    /// The platform: it runs the instance, watches it, and reports with `set_status`. Never expires, and is not kept
    /// over a restart, since the platform makes it anew.
    Managed,
    /// The instance: it renews within this time, or becomes DOWN and is removed later.
    For(Duration),
    /// Nobody: it stays until it is deregistered, and its checks say whether it works (Consul's services).
    None,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

impl Registration {
    /// An instance of the default namespace on the platform's own node: UP, without lease, checks and labels.
    pub fn new(id: InstanceId, service: impl Into<Name>, host: impl Into<Arc<str>>, port: u16) -> Self {
        Self {
            namespace: Namespace::default(),
            node: None,
            id,
            service: service.into(),
            host: host.into(),
            port,
            tags: Tags::default(),
            metadata: Labels::default(),
            weights: Weights::default(),
            zone: None,
            version: None,
            tagged_addresses: Labels::default(),
            enable_tag_override: false,
            status: Status::Up,
            lease: Lease::None,
            checks: Vec::new(),
            keep_checks: false,
        }
    }

    /// The service it is a copy of.
    pub fn service_key(&self) -> ServiceKey {
        ServiceKey { namespace: self.namespace.clone(), name: self.service.clone() }
    }

    /// Everything that is wrong with it, which is nothing in a valid one.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |pointer: String, detail: String| faults.push(Fault { pointer, detail });
        if !self.host.is_empty() && !is_host(&self.host) {
            let detail = "a host is a host name or an IP address, without a port, brackets or a scheme";
            fault("/host".into(), format!("{detail}, such as 10.0.0.7 or orders.internal"));
        }
        if self.weights.passing.max(self.weights.warning) > MAX_WEIGHT {
            fault("/weight".into(), format!("a weight is a number from 0 to {MAX_WEIGHT}"));
        }
        if self.zone.as_ref().is_some_and(|zone| zone.is_empty() || zone.len() > MAX_ZONE) {
            fault("/zone".into(), format!("a zone has 1 to {MAX_ZONE} bytes; leave it out if there is none"));
        }
        if let Lease::For(lease) = self.lease
            && !(MIN_LEASE..=MAX_LEASE).contains(&lease)
        {
            fault("/lease".into(), "a lease is between 100ms and 24h, such as 15s".into());
        }
        if self.metadata.len() > MAX_METADATA {
            fault("/metadata".into(), format!("an instance has at most {MAX_METADATA} labels"));
        }
        for (key, value) in self.metadata.iter().take(MAX_METADATA) {
            if key.is_empty() || key.len() > MAX_METADATA_KEY {
                fault("/metadata".into(), format!("the key of a label has 1 to {MAX_METADATA_KEY} bytes"));
            } else if value.len() > MAX_METADATA_VALUE {
                let pointer = format!("/metadata/{}", key.replace('~', "~0").replace('/', "~1"));
                fault(pointer, format!("the value of a label has at most {MAX_METADATA_VALUE} bytes"));
            }
        }
        faults
    }
}

/// An address, or a host name as RFC 1123 has it (and `_`, which container platforms use).
fn is_host(host: &str) -> bool {
    if host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> Registration {
        Registration {
            lease: Lease::Managed,
            ..Registration::new("a-1".parse().unwrap(), "a".parse::<Name>().unwrap(), "127.0.0.1", 80)
        }
    }

    fn pointers(registration: &Registration) -> Vec<String> {
        registration.faults().into_iter().map(|f| f.pointer).collect()
    }

    #[test]
    fn hosts() {
        for good in ["127.0.0.1", "::1", "fe80::1", "localhost", "orders.internal", "my_db", "7"] {
            assert!(is_host(good), "{good:?}");
        }
        for bad in ["", "[::1]", "a:80", "http://a", "a b", "a..b", "-a", "a/b", "ü", &"x".repeat(64)] {
            assert!(!is_host(bad), "{bad:?}");
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        assert_eq!(valid().faults(), []);
        let long = "x".repeat(MAX_METADATA_VALUE + 1);
        let wrong = Registration {
            host: "a:80".into(),
            weights: Weights { passing: 1, warning: MAX_WEIGHT + 1 },
            zone: Some("".into()),
            lease: Lease::For(Duration::ZERO),
            metadata: [("a/b".into(), long.into()), ("".into(), "".into())].into_iter().collect(),
            ..valid()
        };
        let found = pointers(&wrong);
        assert_eq!(found, ["/host", "/weight", "/zone", "/lease", "/metadata", "/metadata/a~1b"]);
    }

    #[test]
    fn limits_are_exact() {
        let label =
            |n: usize| (format!("{n:0>MAX_METADATA_KEY$}").into(), "x".repeat(MAX_METADATA_VALUE).into());
        let weights = Weights { passing: MAX_WEIGHT, warning: MAX_WEIGHT };
        let full = Registration { metadata: (0..MAX_METADATA).map(label).collect(), weights, ..valid() };
        assert_eq!(full.faults(), []);
        let over = Registration { metadata: (0..=MAX_METADATA).map(label).collect(), ..valid() };
        assert_eq!(pointers(&over), ["/metadata"]);
        for lease in [MIN_LEASE, MAX_LEASE] {
            assert_eq!(Registration { lease: Lease::For(lease), ..valid() }.faults(), []);
        }
    }
}
