//! The platform's own service. Consul's servers are a service of their own catalog, `consul`, and clients look there for
//! them; here it has an instance for each member of the store.

use trellis_registry::{Entry, Name, ServiceKey, Topic};

use crate::door::Door;
use crate::source::Source;

/// What Consul calls it.
pub(crate) const SERVICE: &str = "consul";

/// Whether this is the platform's own service.
pub(crate) fn is_itself(service: &ServiceKey) -> bool {
    service.namespace.is_default() && service.name.as_str().eq_ignore_ascii_case(SERVICE)
}

/// What the instances of a service are known from. What happens to the nodes of members is not filed under their service.
pub(crate) fn source_of(service: &ServiceKey) -> Source {
    if is_itself(service) {
        Source::from(Topic::All).and_members()
    } else {
        Topic::Service(service.clone()).into()
    }
}

impl Door {
    /// The members as instances of their service; none of any other.
    pub(crate) fn members_of(&self, service: &ServiceKey) -> Vec<Entry> {
        if is_itself(service) { self.own_entries() } else { Vec::new() }
    }

    /// The platform's instance on a node, if that is a member's.
    pub(crate) fn own_entry_on(&self, node: &Name) -> Option<Entry> {
        self.own_entries().into_iter().find(|entry| entry.node.name() == node)
    }

    fn own_entries(&self) -> Vec<Entry> {
        let service = SERVICE.parse::<Name>().ok().map(ServiceKey::of);
        service.map(|service| self.registry.member_entries(&service)).unwrap_or_default()
    }
}
