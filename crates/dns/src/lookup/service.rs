//! Services: which instances are told of, and how.

use ahash::AHashSet;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::SRV;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use trellis_registry::{CheckStatus, Entry, ServiceKey};

use super::host::Host;
use super::walk::Walk;
use super::{Found, Lookup, address_record, alias_record, wants};
use crate::snapshots::Snapshots;
use crate::zone::Zone;

impl<S: Snapshots> Lookup<'_, S> {
    /// Instances that may take traffic, in random order. None at all is no such name, as in Consul.
    pub(super) fn service(
        &mut self,
        key: &ServiceKey,
        tag: Option<&str>,
        name: &Name,
        kind: RecordType,
    ) -> Found {
        let snapshot = self.snapshots.service(key);
        let ttl = self.zone.service_ttl(key);
        let (looks, only_passing) = (self.zone.max_examined, self.zone.only_passing);
        let walk = Walk::new(snapshot.entries.len(), self.random).take(looks);
        let fitting =
            walk.filter_map(|at| snapshot.entries.get(at)).filter(|entry| fits(entry, tag, only_passing));
        let mut found = match kind {
            RecordType::SRV => targets(fitting, self.most, self.zone, name, ttl),
            _ => addresses(fitting, self.most, name, ttl, kind),
        };
        if found.code == ResponseCode::NXDomain && snapshot.entries.len() > looks {
            // Those that were not looked at may be better.
            return Found::code(ResponseCode::ServFail);
        }
        self.random.shuffle(&mut found.answers);
        found
    }
}

/// A weight of 0 takes no traffic, here as in the data plane.
fn fits(entry: &Entry, tag: Option<&str>, only_passing: bool) -> bool {
    let has = |tag: &str| entry.instance.definition.tags.iter().any(|known| known.eq_ignore_ascii_case(tag));
    entry.is_up()
        && entry.weight() > 0
        && (!only_passing || entry.health() == CheckStatus::Passing)
        && tag.is_none_or(has)
}

/// Records of the addresses, each address once. A host name is told only if there is no address at all, since a name
/// that stands for another one can have no other records.
fn addresses<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    most: usize,
    name: &Name,
    ttl: u32,
    kind: RecordType,
) -> Found {
    let lists = matches!(kind, RecordType::A | RecordType::AAAA | RecordType::ANY);
    let (mut answers, mut seen) = (Vec::new(), AHashSet::new());
    let (mut any, mut has_address, mut alias) = (false, false, None);
    for entry in entries {
        any = true;
        let host = Host::of(entry);
        has_address |= host.address().is_some();
        for address in host.addresses().filter(|address| wants(kind, *address)) {
            if answers.len() < most && seen.insert(address) {
                answers.push(address_record(name, ttl, address));
            }
        }
        alias = alias.or_else(|| host.full_name());
        if answers.len() >= most || (has_address && !lists) {
            break;
        }
    }
    match alias {
        _ if !any => Found::code(ResponseCode::NXDomain),
        Some(target) if !has_address => Found::of([alias_record(name, ttl, target)]),
        _ => Found::of(answers),
    }
}

/// Ports and weights, with the addresses of the targets beside them.
fn targets<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    most: usize,
    zone: &Zone,
    name: &Name,
    ttl: u32,
) -> Found {
    let mut found = Found::code(ResponseCode::NXDomain);
    let (mut seen, mut told) = (AHashSet::new(), AHashSet::new());
    for entry in entries {
        found.code = ResponseCode::NoError;
        let host = Host::of(entry);
        let Some(target) = target(entry, host, zone) else { continue };
        let port = entry.instance.definition.port;
        if !seen.insert((target.clone(), port)) {
            continue;
        }
        if told.insert(target.clone()) {
            found.additionals.extend(host.records(&target, ttl, RecordType::ANY));
        }
        let weight = u16::try_from(entry.weight()).unwrap_or(u16::MAX);
        let data = SRV::new(1, weight, port, target);
        found.answers.push(Record::from_rdata(name.clone(), ttl, RData::SRV(data)));
        if found.answers.len() >= most {
            break;
        }
    }
    found
}

/// The name by which an instance is reached: that of its node if it is there, that of its address, or its own.
fn target(entry: &Entry, host: Host<'_>, zone: &Zone) -> Option<Name> {
    let of_node = entry.instance.definition.host.is_empty();
    let node = of_node.then(|| zone.node_name(entry.node.name())).flatten();
    node.or_else(|| host.address().and_then(|address| zone.address_name(address)))
        .or_else(|| host.full_name())
}
