//! Modules, clusters and those who name them.

use std::collections::{BTreeMap, BTreeSet};

use trellis_core::ServiceName;
use trellis_core::model::AppModel;

use super::super::mistake::{Mistake, Place};
use super::super::path::Path;
use super::super::suggest;

/// Most names that are listed in a message.
const LISTED: usize = 12;

pub(super) fn check(model: &AppModel) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if model.module.is_empty() && model.route.is_empty() && model.tcp.is_empty() {
        mistakes.push(no_modules());
    }
    for (name, module) in &model.module {
        let needs = Path::keys(["module", name.as_str(), "needs"]);
        for (i, need) in module.needs.iter().enumerate().filter(|(_, need)| !model.module.contains_key(*need))
        {
            mistakes.push(unknown_module(model, needs.index(i), need));
        }
    }
    mistakes.extend(cycles(model));
    mistakes.extend(twice(model));
    mistakes.extend(targets(model));
    mistakes
}

fn no_modules() -> Mistake {
    Mistake::new(Place::File, "there is no module")
        .expected("at least one `[module.NAME]`, or a `[[route]]` to somewhere else")
        .help("write a table for each part of the application: `[module.users]`")
        .rests_on([Path::default(), Path::keys(["module"])])
}

fn unknown_module(model: &AppModel, path: Path, name: &ServiceName) -> Mistake {
    let modules = || model.module.keys().map(ServiceName::as_str);
    Mistake::value(path, format!("\"{name}\""), "the name of a module")
        .remark("there is no module of this name")
        .did_you_mean(suggest::nearest(name.as_str(), modules()))
        .help(listed("modules", model.module.len(), modules()))
        .rests_on([Path::default(), Path::keys(["module"])])
}

fn unknown_cluster(model: &AppModel, path: Path, name: &ServiceName) -> Mistake {
    let clusters = || model.cluster.iter().map(|cluster| cluster.name.as_str());
    Mistake::value(path, format!("\"{name}\""), "the name of a cluster")
        .remark("there is no `[[cluster]]` of this name")
        .did_you_mean(suggest::nearest(name.as_str(), clusters()))
        .help(listed("clusters", model.cluster.len(), clusters()))
        .rests_on([Path::default(), Path::keys(["cluster"])])
}

fn listed<'a>(what: &str, count: usize, names: impl Iterator<Item = &'a str>) -> String {
    let some = suggest::quoted(names.take(LISTED));
    match count {
        0 => format!("this file has no {what}"),
        n if n > LISTED => format!("known {what}: {some} and {} more", n - LISTED),
        _ => format!("known {what}: {some}"),
    }
}

/// Each route, with all it may lead to, each cluster and each TCP port leads to something that is there.
fn targets(model: &AppModel) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut target = |path: &Path, service: Option<&ServiceName>, cluster: Option<&ServiceName>| {
        if let Some(name) = service.filter(|name| !model.module.contains_key(*name)) {
            let advice = if model.cluster.iter().any(|cluster| cluster.name == *name) {
                format!("`{name}` is a cluster: write `cluster = \"{name}\"`")
            } else {
                "for an address outside this file write a `[[cluster]]` and name it with `cluster`".into()
            };
            mistakes.push(unknown_module(model, path.key("service"), name).help(advice));
        }
        if let Some(name) = cluster.filter(|name| !model.cluster.iter().any(|cluster| cluster.name == **name))
        {
            let mistake = unknown_cluster(model, path.key("cluster"), name);
            mistakes.push(if model.module.contains_key(name) {
                mistake.help(format!("`{name}` is a module: write `service = \"{name}\"`"))
            } else {
                mistake
            });
        }
    };
    for (i, route) in model.route.iter().enumerate() {
        let path = Path::keys(["route"]).index(i);
        target(&path, route.service.as_ref(), route.cluster.as_ref());
        for (j, item) in route.split.iter().enumerate() {
            target(&path.key("split").index(j), item.service.as_ref(), item.cluster.as_ref());
        }
        for (j, canary) in route.canary.iter().enumerate() {
            target(&path.key("canary").index(j), canary.service.as_ref(), canary.cluster.as_ref());
        }
        if let Some(mirror) = &route.mirror {
            target(&path.key("mirror"), mirror.service.as_ref(), mirror.cluster.as_ref());
        }
        for (name, part) in route.aggregate.iter().flat_map(|aggregate| &aggregate.parts) {
            target(&path.key("aggregate").key(name), part.service.as_ref(), part.cluster.as_ref());
        }
    }
    for (i, cluster) in model.cluster.iter().enumerate() {
        target(&Path::keys(["cluster"]).index(i), cluster.service.as_ref(), None);
    }
    for (i, tcp) in model.tcp.iter().enumerate() {
        target(&Path::keys(["tcp"]).index(i), tcp.service.as_ref(), tcp.cluster.as_ref());
    }
    mistakes
}

/// No two clusters share a name.
fn twice(model: &AppModel) -> Vec<Mistake> {
    let mut names = BTreeSet::new();
    let repeated = model.cluster.iter().enumerate().filter(|(_, cluster)| !names.insert(&cluster.name));
    repeated
        .map(|(i, cluster)| {
            let path = Path::keys(["cluster"]).index(i).key("name");
            Mistake::value(path, format!("\"{}\"", cluster.name), "a name of its own")
                .remark("another `[[cluster]]` has this name already")
        })
        .collect()
}

/// Modules start after those they need, so needs may not form a ring. Each ring is told once, where it closes.
fn cycles(model: &AppModel) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut done = BTreeSet::new();
    for start in model.module.keys() {
        // Depth first, without recursion: a chain of needs may be as long as the file.
        let mut way = vec![(start, 0)];
        let mut on_way = BTreeMap::from([(start, 0)]);
        while let Some((name, next)) = way.last_mut() {
            let name = *name;
            let need = model
                .module
                .get(name)
                .filter(|_| !done.contains(name))
                .and_then(|module| module.needs.get(*next));
            let Some(need) = need else {
                done.insert(name);
                on_way.remove(name);
                way.pop();
                continue;
            };
            let index = *next;
            *next += 1;
            if let Some(position) = on_way.get(need) {
                let ring: Vec<_> = way[*position..].iter().map(|(name, _)| *name).collect();
                mistakes.push(ring_at(name, index, &ring));
            } else if !done.contains(need) {
                on_way.insert(need, way.len());
                way.push((need, 0));
            }
        }
    }
    mistakes
}

fn ring_at(closing: &ServiceName, index: usize, ring: &[&ServiceName]) -> Mistake {
    let path = Path::keys(["module", closing.as_str(), "needs"]).index(index);
    let message = if let [only] = ring {
        format!("`{only}` needs itself")
    } else {
        let names: Vec<_> = ring.iter().chain(ring.first()).map(|name| name.as_str()).collect();
        format!("these modules need one another in a ring: {}", names.join(" -> "))
    };
    Mistake::new(Place::Value(path), message)
        .remark("the ring closes here")
        .help("a module starts after those it needs: take one of them out of `needs`; calls work without it")
}
