//! From what is asked to the records that answer it.

mod host;
mod node;
mod reverse;
mod service;
mod walk;

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::question::Asked;
use crate::snapshots::Snapshots;
use crate::zone::{Zone, seconds};

/// What there is to say.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) code: ResponseCode,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    pub(crate) additionals: Vec<Record>,
}

/// Makes answers at one moment.
pub(crate) struct Lookup<'a, S> {
    pub(crate) zone: &'a Zone,
    pub(crate) snapshots: &'a S,
    pub(crate) unix_s: u32,
    pub(crate) random: &'a mut fastrand::Rng,
    /// No more answers than this are of any use.
    pub(crate) most: usize,
}

/// How many names in a row are followed that stand for another one. A chain that is longer goes in circles.
const MAX_ALIASES: usize = 4;

impl<S: Snapshots> Lookup<'_, S> {
    /// Everything that answers a question.
    pub(crate) fn find(&mut self, name: &Name, kind: RecordType) -> Found {
        let asked = Asked::read(name, self.zone);
        if matches!(kind, RecordType::AXFR | RecordType::IXFR) {
            return Found::code(ResponseCode::Refused);
        }
        let mut found = self.find_one(&asked, name, kind);
        for _ in 0..MAX_ALIASES {
            let Some(target) = found.alias(kind) else { break };
            let next = match Asked::read(&target, self.zone) {
                Asked::Elsewhere => break,
                asked => self.find_one(&asked, &target, kind),
            };
            found.answers.extend(next.answers);
            found.additionals.extend(next.additionals);
        }
        let is_ours = !matches!(asked, Asked::Elsewhere | Asked::Reverse(_) | Asked::NoReverse);
        if is_ours && found.answers.is_empty() && found.code != ResponseCode::ServFail {
            found.authorities.push(self.start_of_authority());
        }
        found
    }

    fn find_one(&mut self, asked: &Asked, name: &Name, kind: RecordType) -> Found {
        match asked {
            Asked::Elsewhere => Found::code(ResponseCode::Refused),
            Asked::Nothing | Asked::NoReverse => Found::code(ResponseCode::NXDomain),
            Asked::Between | Asked::Reverse(None) => Found::default(),
            Asked::Apex => self.apex(name, kind),
            Asked::NameServer => Found::of(self.own_addresses(name, kind)),
            Asked::Service { key, tag } => self.service(key, tag.as_deref(), name, kind),
            Asked::Node(node) => self.node(node, name, kind),
            Asked::Address(address) => {
                let record = address_record(name, self.zone.node_ttl, *address);
                Found::of(wants(kind, *address).then_some(record))
            }
            Asked::Reverse(Some(address)) => self.reverse(*address, name, kind),
        }
    }

    fn apex(&self, name: &Name, kind: RecordType) -> Found {
        let mut found = Found::default();
        if matches!(kind, RecordType::SOA | RecordType::ANY) {
            found.answers.push(self.start_of_authority());
        }
        if matches!(kind, RecordType::NS | RecordType::ANY) {
            let server = self.zone.name_server.clone();
            found.additionals = self.own_addresses(&server, RecordType::ANY);
            found.answers.push(Record::from_rdata(name.clone(), self.zone.node_ttl, RData::NS(NS(server))));
        }
        found
    }

    fn own_addresses(&self, name: &Name, kind: RecordType) -> Vec<Record> {
        let node = self.snapshots.node(self.snapshots.own_node());
        let host = node.as_deref().map(host::Host::of_node);
        host.map(|host| host.records(name, self.zone.node_ttl, kind).collect()).unwrap_or_default()
    }

    fn start_of_authority(&self) -> Record {
        let (zone, soa) = (self.zone, self.zone.soa);
        let signed = |duration| i32::try_from(seconds(duration)).unwrap_or(i32::MAX);
        let data = SOA::new(
            zone.name_server.clone(),
            zone.postmaster.clone(),
            self.unix_s,
            signed(soa.refresh),
            signed(soa.retry),
            signed(soa.expire),
            seconds(soa.negative_ttl),
        );
        Record::from_rdata(zone.domain.clone(), seconds(soa.negative_ttl), RData::SOA(data))
    }
}

impl Found {
    fn code(code: ResponseCode) -> Self {
        Self { code, ..Self::default() }
    }

    fn of(answers: impl IntoIterator<Item = Record>) -> Self {
        Self { answers: answers.into_iter().collect(), ..Self::default() }
    }

    /// The other name that is to be asked for, if the last answer is one and that is not what was asked for.
    fn alias(&self, kind: RecordType) -> Option<Name> {
        match &self.answers.last()?.data {
            RData::CNAME(CNAME(target)) if !matches!(kind, RecordType::CNAME | RecordType::ANY) => {
                Some(target.clone())
            }
            _ => None,
        }
    }
}

/// Whether a record of this address answers a question of this type.
fn wants(kind: RecordType, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => matches!(kind, RecordType::A | RecordType::ANY),
        IpAddr::V6(_) => matches!(kind, RecordType::AAAA | RecordType::ANY),
    }
}

fn address_record(name: &Name, ttl: u32, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(name.clone(), ttl, data)
}

fn alias_record(name: &Name, ttl: u32, target: Name) -> Record {
    Record::from_rdata(name.clone(), ttl, RData::CNAME(CNAME(target)))
}
