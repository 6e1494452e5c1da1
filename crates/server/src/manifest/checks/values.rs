//! Values that are well formed and still cannot be meant.

use trellis_core::HumanDuration;
use trellis_core::model::{AppModel, ClusterEndpoint};

use super::super::mistake::Mistake;
use super::super::path::Path;
use crate::database::Database;
use crate::secrets;

pub(super) fn check(model: &AppModel) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (path, wait) in waits(model) {
        if wait.0.is_zero() {
            mistakes.push(Mistake::value(path, "0s", "a duration longer than zero"));
        }
    }
    for (path, health) in health_paths(model) {
        if health.parse::<http::uri::PathAndQuery>().is_err() || !health.starts_with('/') {
            mistakes.push(Mistake::value(path, format!("{health:?}"), "a path that begins with `/`"));
        }
    }
    for (path, text) in databases(model) {
        if let Err(expected) = text.parse::<Database>() {
            mistakes.push(Mistake::value(path, format!("{:?}", secrets::mask_urls(text)), expected));
        }
    }
    let store = &model.app.store;
    if store.parse::<Database>().is_ok_and(|database| matches!(database, Database::None))
        || store.parse::<Database>().is_err()
    {
        let path = Path::keys(["app", "store"]);
        let shown = format!("{:?}", secrets::mask_urls(store));
        mistakes.push(Mistake::value(path, shown, "`sqlite` or a `postgres://` URL"));
    }
    for (i, cluster) in model.cluster.iter().enumerate() {
        let path = Path::keys(["cluster"]).index(i).key("endpoints");
        for (j, endpoint) in cluster
            .endpoints
            .iter()
            .map(ClusterEndpoint::address)
            .enumerate()
            .filter(|(_, endpoint)| !is_host_and_port(endpoint))
        {
            let shown = format!("{:?}", secrets::mask_urls(endpoint));
            mistakes.push(Mistake::value(path.index(j), shown, "a host and port, such as 10.0.0.7:8080"));
        }
    }
    mistakes
}

fn is_host_and_port(text: &str) -> bool {
    text.parse::<http::uri::Authority>().is_ok_and(|authority| {
        !authority.host().is_empty() && !text.contains('@') && authority.port_u16().is_some_and(|p| p > 0)
    })
}

/// Waits that would spin or always fail if they were zero.
fn waits(model: &AppModel) -> Vec<(Path, HumanDuration)> {
    let (defaults, gateway) = (&model.defaults, &model.gateway);
    let mut waits = vec![
        (Path::keys(["defaults", "start_timeout"]), defaults.start_timeout),
        (Path::keys(["defaults", "health_interval"]), defaults.health_interval),
        (Path::keys(["defaults", "health_timeout"]), defaults.health_timeout),
        (Path::keys(["defaults", "restart", "backoff"]), defaults.restart.backoff),
        (Path::keys(["defaults", "restart", "max_backoff"]), defaults.restart.max_backoff),
        (Path::keys(["gateway", "timeout"]), gateway.timeout),
        (Path::keys(["gateway", "connect_timeout"]), gateway.connect_timeout),
        (Path::keys(["gateway", "header_timeout"]), gateway.header_timeout),
        (Path::keys(["mesh", "timeout"]), model.mesh.timeout),
        (Path::keys(["registry", "lease"]), model.registry.lease),
    ];
    for (name, module) in &model.module {
        let path = Path::keys(["module", name.as_str(), "start_timeout"]);
        waits.extend(module.start_timeout.map(|wait| (path, wait)));
    }
    for (i, route) in model.route.iter().enumerate() {
        let path = Path::keys(["route"]).index(i);
        waits.extend(route.timeout.map(|wait| (path.key("timeout"), wait)));
        for (name, part) in route.aggregate.iter().flat_map(|aggregate| &aggregate.parts) {
            waits.extend(part.timeout.map(|wait| (path.key("aggregate").key(name).key("timeout"), wait)));
        }
    }
    waits
}

fn health_paths(model: &AppModel) -> Vec<(Path, &str)> {
    let own = model.module.iter().filter_map(|(name, module)| {
        Some((Path::keys(["module", name.as_str(), "health"]), module.health.as_deref()?))
    });
    own.chain([(Path::keys(["defaults", "health"]), model.defaults.health.as_str())]).collect()
}

fn databases(model: &AppModel) -> Vec<(Path, &str)> {
    let own = model.module.iter().filter_map(|(name, module)| {
        Some((Path::keys(["module", name.as_str(), "database"]), module.database.as_deref()?))
    });
    own.chain([(Path::keys(["defaults", "database"]), model.defaults.database.as_str())]).collect()
}
