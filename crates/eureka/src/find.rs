//! Which instance of the registry is meant.

use trellis_core::InstanceId;
use trellis_registry::{Entry, Handle, InstanceKey, Name, Namespace};

use crate::names;

/// The instance that an app has with an id. It may be known inside by the id itself, by the id and the app, or, if it
/// runs on another node, by the part before the node.
pub(crate) fn instance(registry: &Handle, service: &Name, id: &str) -> Option<Entry> {
    let own = registry.own_node();
    let is_it = |entry: &Entry| {
        entry.instance.definition.service == *service && names::shown(&entry.instance, own) == id
    };
    candidates(registry, service, id).find(is_it)
}

/// The instance of any app that has an id; the first, in the order of the apps, if several have it.
pub(crate) fn anywhere(registry: &Handle, id: &str) -> Option<Entry> {
    let catalog = registry.catalog(&Namespace::default());
    catalog.services.keys().find_map(|service| instance(registry, service, id))
}

fn candidates(registry: &Handle, service: &Name, id: &str) -> impl Iterator<Item = Entry> {
    let own = |id: InstanceId| registry.find(&registry.own_key(&id));
    let elsewhere = || {
        let (id, node) = id.rsplit_once('@')?;
        let (id, node) = (id.parse().ok()?, node.parse().ok()?);
        registry.find(&InstanceKey { namespace: Namespace::default(), node, id })
    };
    let qualified = names::qualified(id, service).ok().and_then(own);
    let plain = id.parse().ok().and_then(own);
    [qualified, plain, elsewhere()].into_iter().flatten()
}
