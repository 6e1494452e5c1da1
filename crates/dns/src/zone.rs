//! The domain, with its names ready to be compared and built.

use std::net::IpAddr;
use std::time::Duration;

use ahash::AHashMap;
use hickory_proto::rr::Name;
use trellis_registry::{Name as Called, ServiceKey};

use crate::error::Error;
use crate::options::{Options, Soa};

/// What an answer needs to know of the settings, checked and compiled once.
#[derive(Debug)]
pub struct Zone {
    pub(crate) domain: Name,
    /// Its labels in lower case, from left to right.
    pub(crate) labels: Vec<String>,
    pub(crate) datacenter: String,
    pub(crate) name_server: Name,
    pub(crate) postmaster: Name,
    pub(crate) node_ttl: u32,
    pub(crate) soa: Soa,
    pub(crate) only_passing: bool,
    pub(crate) udp_answer_limit: usize,
    pub(crate) max_udp_bytes: u16,
    pub(crate) max_examined: usize,
    service_ttl: u32,
    /// By name in lower case.
    service_ttls: AHashMap<String, u32>,
    addresses: Name,
    nodes: Name,
    services: Name,
}

/// Longest domain, so that every name that a registry can hold fits before it.
const MAX_DOMAIN: usize = 120;

impl Zone {
    /// Checks what is set.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let wrong = || Error::Domain(options.domain.clone());
        let text = options.domain.strip_suffix('.').unwrap_or(&options.domain).to_ascii_lowercase();
        let labels: Vec<String> = text.split('.').map(str::to_owned).collect();
        if text.len() > MAX_DOMAIN || !labels.iter().all(|label| is_label(label)) {
            return Err(wrong());
        }
        let datacenter = options.datacenter.to_ascii_lowercase();
        if !is_label(&datacenter) {
            return Err(Error::Datacenter(options.datacenter.clone()));
        }
        let domain = Name::from_labels(labels.iter().map(String::as_bytes)).map_err(|_| wrong())?;
        let below = |above: &Name, label: &str| above.prepend_label(label).map_err(|_| wrong());
        let place = below(&domain, &datacenter)?;
        Ok(Self {
            name_server: below(&domain, "ns")?,
            postmaster: below(&domain, "hostmaster")?,
            addresses: below(&place, "addr")?,
            nodes: below(&place, "node")?,
            services: below(&place, "service")?,
            domain,
            labels,
            datacenter,
            node_ttl: seconds(options.node_ttl),
            service_ttl: seconds(options.service_ttl),
            service_ttls: options
                .service_ttls
                .iter()
                .map(|(name, ttl)| (name.to_ascii_lowercase(), seconds(*ttl)))
                .collect(),
            soa: options.soa,
            only_passing: options.only_passing,
            udp_answer_limit: options.udp_answer_limit,
            max_udp_bytes: options.max_udp_bytes.max(512),
            max_examined: options.max_examined,
        })
    }

    /// How long an answer about a service may be kept, in seconds.
    pub(crate) fn service_ttl(&self, service: &ServiceKey) -> u32 {
        if self.service_ttls.is_empty() {
            return self.service_ttl;
        }
        let name = service.name.as_str().to_ascii_lowercase();
        self.service_ttls.get(&name).copied().unwrap_or(self.service_ttl)
    }

    /// The name that stands for an address: its digits in hexadecimal below `addr`.
    pub(crate) fn address_name(&self, address: IpAddr) -> Option<Name> {
        let digits = match address {
            IpAddr::V4(address) => format!("{:08x}", u32::from(address)),
            IpAddr::V6(address) => format!("{:032x}", u128::from(address)),
        };
        self.addresses.prepend_label(digits.as_bytes()).ok()
    }

    /// The full name of a node, if DNS can carry it.
    pub(crate) fn node_name(&self, node: &Called) -> Option<Name> {
        below(&self.nodes, node)
    }

    /// The full name of a service of the default namespace, if DNS can carry it.
    pub(crate) fn service_name(&self, service: &Called) -> Option<Name> {
        below(&self.services, service)
    }
}

fn below(above: &Name, name: &Called) -> Option<Name> {
    if !name.is_dns_label() {
        return None;
    }
    above.prepend_label(name.as_str().as_bytes()).ok()
}

/// One label of RFC 1123, in lower case.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whole seconds that fit what RFC 2181 allows for a time to live.
pub(crate) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).min(i32::MAX as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_and_data_centres_are_checked() {
        let zone = |domain: &str, datacenter: &str| {
            let options =
                Options { domain: domain.into(), datacenter: datacenter.into(), ..Options::default() };
            Zone::new(&options)
        };
        for good in ["consul", "Consul.", "svc.example.com", "a-b.c1"] {
            assert!(zone(good, "dc1").is_ok(), "{good:?}");
        }
        for bad in ["", ".", "a..b", "-a", "a_b", "ü", "a b", &"x".repeat(64), &"x.".repeat(61)] {
            assert!(matches!(zone(bad, "dc1"), Err(Error::Domain(_))), "{bad:?}");
        }
        for bad in ["", "a.b", "a_b"] {
            assert!(matches!(zone("consul", bad), Err(Error::Datacenter(_))), "{bad:?}");
        }
    }

    #[test]
    fn names_are_built_below_the_data_centre() {
        let zone = Zone::new(&Options::default()).unwrap();
        let text = |name: Option<Name>| name.unwrap().to_ascii();
        assert_eq!(text(zone.address_name([192, 0, 2, 10].into())), "c000020a.addr.dc1.consul.");
        let six = "2001:db8:1:2:cafe::1337".parse().unwrap();
        assert_eq!(text(zone.address_name(six)), "20010db800010002cafe000000001337.addr.dc1.consul.");
        assert_eq!(text(zone.node_name(&"Foo".parse().unwrap())), "Foo.node.dc1.consul.");
        assert_eq!(zone.service_name(&"my_db".parse().unwrap()), None);
    }
}
