//! Taking in what other members wrote, and what this one cannot be sure of.

use std::collections::BTreeSet;

use trellis_storage::Store;

use crate::error::Core;
use crate::model::names::{InstanceKey, Name};
use crate::rows::{self, Found, Named};
use crate::shared::Shared;
use crate::state::{About, Changed, Dirty, Now, State};
use crate::table;

/// Reads these anew, and brings memory in line with them.
pub(crate) async fn some(shared: &Shared, store: &Store, names: &[Named]) -> Core<()> {
    let found = rows::read(store, names, &shared.options.node.name).await?;
    let missing: Vec<&Named> = names.iter().filter(|name| !found.seen.contains(name)).collect();
    step(shared, |state, now, tell| {
        take(state, found, now, tell);
        for name in missing {
            let changed = match name.what() {
                Some(Dirty::Instance(key)) => state.lose_instance(&key, now),
                Some(Dirty::Node(name)) => state.lose_node(&name, now),
                None => match name.about(state.own()) {
                    Some(about) => state.set_override(about, None, now),
                    None => continue,
                },
            };
            tell(state, changed);
        }
    });
    Ok(())
}

/// Reads everything anew. What did not change wakes nobody.
pub(crate) async fn everything(shared: &Shared, store: &Store) -> Core<()> {
    let own = &shared.options.node.name;
    let (known_nodes, known) = shared.read(State::written);
    let overrides = table::overrides(store, own).await?;
    let stale: Vec<About> = shared.read(|state| state.overrides().beyond(&overrides));
    let mut found = rows::all_nodes(store).await?;
    found.overrides = overrides.all();
    let nodes: BTreeSet<Name> =
        found.nodes.iter().map(|(saved, _)| saved.registration.name.clone()).collect();
    step(shared, |state, now, tell| {
        take(state, found, now, tell);
        for about in stale {
            let changed = state.set_override(about, None, now);
            tell(state, changed);
        }
    });
    let mut seen: BTreeSet<Named> = BTreeSet::new();
    let mut after = Default::default();
    while let Some(mut page) = rows::some_instances(store, &after).await? {
        after = page.last;
        seen.append(&mut page.found.seen);
        step(shared, |state, now, tell| take(state, page.found, now, tell));
    }
    let is_gone = |key: &InstanceKey| !seen.contains(&Named::of(&Dirty::Instance(key.clone())));
    let lost: Vec<InstanceKey> = known.into_iter().filter(is_gone).collect();
    let lost_nodes: Vec<Name> = known_nodes.into_iter().filter(|name| !nodes.contains(name)).collect();
    step(shared, |state, now, tell| {
        for key in lost {
            let changed = state.lose_instance(&key, now);
            tell(state, changed);
        }
        for name in lost_nodes {
            let changed = state.lose_node(&name, now);
            tell(state, changed);
        }
    });
    Ok(())
}

fn take(state: &mut State, found: Found, now: Now, tell: &mut dyn FnMut(&mut State, Changed)) {
    for (saved, standing) in found.nodes {
        let changed = state.take_node(saved, standing, now);
        tell(state, changed);
    }
    for (saved, standing) in found.instances {
        let changed = state.take_instance(saved, standing, now);
        tell(state, changed);
    }
    for (about, said) in found.overrides {
        if state.overrides().get(&about) != Some(said) {
            let changed = state.set_override(about, Some(said), now);
            tell(state, changed);
        }
    }
}

fn step(shared: &Shared, step: impl FnOnce(&mut State, Now, &mut dyn FnMut(&mut State, Changed))) {
    let done = shared.steps(|state, now, tell| {
        step(state, now, tell);
        Ok(())
    });
    debug_assert!(done.is_ok(), "nothing in it fails");
}
