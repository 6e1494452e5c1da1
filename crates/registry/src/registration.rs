//! What an instance says of itself, and whether it may.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use trellis_core::{InstanceId, ServiceName, Status};

use crate::error::Fault;

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

/// One instance announces itself, or is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Unique across all services; the last registration of an id replaces those before it.
    pub id: InstanceId,
    /// The service it is a copy of.
    pub service: ServiceName,
    /// Host name or address, without port or brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Free labels.
    pub metadata: BTreeMap<String, String>,
    /// Share of traffic relative to its siblings; 0 takes none.
    pub weight: u32,
    /// Failure domain, if known.
    pub zone: Option<String>,
    /// What liveness says at first.
    pub status: Status,
    /// Who keeps it alive.
    pub lease: Lease,
}

/// Who keeps an instance registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// The platform: it runs the instance, watches it, and reports with `set_status`. Never expires.
    Managed,
    /// The instance: it renews within this time, or becomes DOWN and is removed later.
    For(Duration),
}

impl Registration {
    /// Everything that is wrong with it, which is nothing in a valid one.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |pointer: String, detail: String| faults.push(Fault { pointer, detail });
        if !is_host(&self.host) {
            let detail = "a host is a host name or an IP address, without a port, brackets or a scheme";
            fault("/host".into(), format!("{detail}, such as 10.0.0.7 or orders.internal"));
        }
        if self.port == 0 {
            fault("/port".into(), "a port is a number from 1 to 65535".into());
        }
        if self.weight > MAX_WEIGHT {
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
            id: "a-1".parse().unwrap(),
            service: "a".parse().unwrap(),
            host: "127.0.0.1".into(),
            port: 80,
            metadata: BTreeMap::new(),
            weight: 1,
            zone: None,
            status: Status::Up,
            lease: Lease::Managed,
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
            port: 0,
            weight: MAX_WEIGHT + 1,
            zone: Some(String::new()),
            lease: Lease::For(Duration::ZERO),
            metadata: [("a/b".to_owned(), long), (String::new(), String::new())].into(),
            ..valid()
        };
        let found = pointers(&wrong);
        assert_eq!(found, ["/host", "/port", "/weight", "/zone", "/lease", "/metadata", "/metadata/a~1b"]);
    }

    #[test]
    fn limits_are_exact() {
        let label = |n: usize| (format!("{n:0>MAX_METADATA_KEY$}"), "x".repeat(MAX_METADATA_VALUE));
        let full =
            Registration { metadata: (0..MAX_METADATA).map(label).collect(), weight: MAX_WEIGHT, ..valid() };
        assert_eq!(full.faults(), []);
        let over = Registration { metadata: (0..=MAX_METADATA).map(label).collect(), ..valid() };
        assert_eq!(pointers(&over), ["/metadata"]);
        for lease in [MIN_LEASE, MAX_LEASE] {
            assert_eq!(Registration { lease: Lease::For(lease), ..valid() }.faults(), []);
        }
    }
}
