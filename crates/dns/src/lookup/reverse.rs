//! From an address to names.

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::PTR;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use trellis_registry::{Namespace, ServiceKey};

use super::host::Host;
use super::{Found, Lookup};
use crate::snapshots::Snapshots;

/// Most names of one address that are told. Many instances may share one; whoever asks wants to know whose it is.
const MAX_NAMES: usize = 16;

impl<S: Snapshots> Lookup<'_, S> {
    /// The nodes with this address; if there are none, the services of the default namespace that have an instance
    /// there. Nobody has filed them by address, so they are looked through, up to what is set.
    pub(super) fn reverse(&self, address: IpAddr, name: &Name, kind: RecordType) -> Found {
        let mut looks = Looks(self.zone.max_examined);
        let mut names = self.nodes_at(address, &mut looks);
        if names.is_empty() {
            names = self.services_at(address, &mut looks);
        }
        if names.is_empty() {
            // What was not looked at may have it.
            return Found::code(if looks.0 == 0 { ResponseCode::ServFail } else { ResponseCode::NXDomain });
        }
        if !matches!(kind, RecordType::PTR | RecordType::ANY) {
            return Found::default();
        }
        let ttl = self.zone.node_ttl;
        Found::of(names.into_iter().map(|to| Record::from_rdata(name.clone(), ttl, RData::PTR(PTR(to)))))
    }

    fn nodes_at(&self, address: IpAddr, looks: &mut Looks) -> Vec<Name> {
        let nodes = self.snapshots.nodes();
        nodes
            .nodes
            .iter()
            .take_while(|_| looks.take())
            .filter(|node| Host::of_node(node).addresses().any(|known| known == address))
            .filter_map(|node| self.zone.node_name(node.name()))
            .take(MAX_NAMES)
            .collect()
    }

    fn services_at(&self, address: IpAddr, looks: &mut Looks) -> Vec<Name> {
        let namespace = Namespace::default();
        let catalog = self.snapshots.catalog(&namespace);
        let mut names = Vec::new();
        for service in catalog.services.keys() {
            if names.len() >= MAX_NAMES || !looks.take() {
                break;
            }
            let Some(name) = self.zone.service_name(service) else { continue };
            let key = ServiceKey { namespace: namespace.clone(), name: service.clone() };
            let snapshot = self.snapshots.service(&key);
            let mut entries = snapshot.entries.iter().take_while(|_| looks.take());
            if entries.any(|entry| Host::of(entry).addresses().any(|known| known == address)) {
                names.push(name);
            }
        }
        names
    }
}

/// How much may still be looked at.
struct Looks(usize);

impl Looks {
    fn take(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}
