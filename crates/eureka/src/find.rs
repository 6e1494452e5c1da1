//! Which instance of the registry is meant.

use trellis_core::InstanceId;
use trellis_registry::{Entry, Handle, InstanceKey, Name, Namespace};

use crate::names;

/// The instance that an app has with an id. It may be known inside by the id itself, by the id and the app, or, if it
/// runs on another node, by the part before the node.
pub(crate) fn instance(registry: &Handle, service: &Name, id: &str) -> Option<Entry> {
    let is_it = |entry: &Entry| entry.instance.definition.service == *service;
    qualified(registry, service, id).or_else(|| direct(registry, id).find(is_it))
}

/// The instance of any app that has an id; one of them, if several have it.
pub(crate) fn anywhere(registry: &Handle, id: &str) -> Option<Entry> {
    let found = direct(registry, id).next();
    found.or_else(|| {
        let catalog = registry.catalog(&Namespace::default());
        catalog.services.keys().find_map(|service| qualified(registry, service, id))
    })
}

/// Those that are known by the id, here or elsewhere.
fn direct(registry: &Handle, id: &str) -> impl Iterator<Item = Entry> {
    let here = id.parse().ok().and_then(|id: InstanceId| registry.find(&registry.own_key(&id)));
    let elsewhere = || {
        let (id, node) = id.rsplit_once('@')?;
        let (id, node) = (id.parse().ok()?, node.parse().ok()?);
        registry.find(&InstanceKey { namespace: Namespace::default(), node, id })
    };
    let own = registry.own_node();
    [here, elsewhere()].into_iter().flatten().filter(move |entry| names::shown(&entry.instance, own) == id)
}

/// The one that is known by the id and the app.
fn qualified(registry: &Handle, service: &Name, id: &str) -> Option<Entry> {
    let entry = registry.find(&registry.own_key(&names::qualified(id, service).ok()?))?;
    let is_it = entry.instance.definition.service == *service
        && names::shown(&entry.instance, registry.own_node()) == id;
    is_it.then_some(entry)
}
