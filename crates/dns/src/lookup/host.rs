//! Where an instance or a node is reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{Name, Record, RecordType};
use trellis_registry::{Entry, Labels, Node};

use super::{address_record, wants};

/// Addresses of one host, or the name that it has instead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Host<'a> {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    /// A host name, if there is no address.
    name: Option<&'a str>,
}

impl<'a> Host<'a> {
    /// Where an instance is reached.
    pub(super) fn of(entry: &'a Entry) -> Self {
        let definition = &entry.instance.definition;
        if definition.host.is_empty() {
            Self::of_node(&entry.node)
        } else {
            Self::new(&definition.host, &definition.tagged_addresses)
        }
    }

    /// Where a node is reached.
    pub(super) fn of_node(node: &'a Node) -> Self {
        Self::new(&node.definition.address, &node.definition.tagged_addresses)
    }

    /// The main address, and that of the other family if it is tagged `lan_ipv4` or `lan_ipv6`.
    fn new(host: &'a str, tagged: &Labels) -> Self {
        let mut v4 = tagged.get("lan_ipv4").and_then(|text| text.parse().ok());
        let mut v6 = tagged.get("lan_ipv6").and_then(|text| text.parse().ok());
        match host.parse() {
            Ok(IpAddr::V4(address)) => v4 = Some(address),
            Ok(IpAddr::V6(address)) => v6 = Some(address),
            Err(_) => {}
        }
        let name = Some(host).filter(|host| !host.is_empty() && v4.is_none() && v6.is_none());
        Self { v4, v6, name }
    }

    pub(super) fn addresses(self) -> impl Iterator<Item = IpAddr> {
        self.v4.map(IpAddr::V4).into_iter().chain(self.v6.map(IpAddr::V6))
    }

    /// The address, that of version 4 if there are two.
    pub(super) fn address(self) -> Option<IpAddr> {
        self.addresses().next()
    }

    /// The host name as a name of DNS.
    pub(super) fn full_name(self) -> Option<Name> {
        let mut name = Name::from_ascii(self.name?).ok()?;
        name.set_fqdn(true);
        Some(name)
    }

    /// Its addresses, as far as they are wanted, as records of `name`.
    pub(super) fn records(self, name: &Name, ttl: u32, kind: RecordType) -> impl Iterator<Item = Record> {
        self.addresses()
            .filter(move |address| wants(kind, *address))
            .map(move |address| address_record(name, ttl, address))
    }
}
