//! Is everything there that was acknowledged? Every node is asked for every instance and every key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use super::super::act::{Instance, Key};
use super::super::caller::Way;
use super::super::doors;
use super::cluster::State;
use super::traffic::Acknowledged;
use crate::client::Client;

/// Longest wait for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Longest wait for a node to hear of what another one acknowledged last.
const SPREAD_LIMIT: Duration = Duration::from_secs(15);
/// How often it is asked again.
const POLL: Duration = Duration::from_millis(100);

/// What a node knows of a service.
#[derive(Deserialize)]
struct Endpoints {
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    id: String,
    authority: String,
}

#[derive(Deserialize)]
struct Value {
    version: String,
}

/// What is missing, in words.
pub(super) async fn run(nodes: &[Arc<State>], acknowledged: &Acknowledged) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let began = Instant::now();
        let client = |way| anyhow::Ok(Client::new(&format!("http://{}", node.address(way)?), ANSWER_LIMIT));
        let (mut native, mut consul) = (client(Way::Native)?, client(Way::Consul)?);
        let found = loop {
            let found = at(&mut native, &mut consul, acknowledged).await;
            let found = found.with_context(|| format!("node {} cannot be asked", number + 1))?;
            if found.is_empty() || began.elapsed() > SPREAD_LIMIT {
                break found;
            }
            tokio::time::sleep(POLL).await;
        };
        missing.extend(found.into_iter().map(|what| format!("node {}: {what}", number + 1)));
    }
    Ok(missing)
}

async fn at(native: &mut Client, consul: &mut Client, acknowledged: &Acknowledged) -> Result<Vec<String>> {
    let mut services: BTreeMap<u32, Vec<Instance>> = BTreeMap::new();
    for instance in &acknowledged.instances {
        services.entry(instance.service.0).or_default().push(*instance);
    }
    let mut missing = Vec::new();
    for instances in services.into_values() {
        let Some(first) = instances.first() else { continue };
        let known: Endpoints = native.get(&doors::endpoints(first.service, None)).await?.1;
        missing.extend(unknown(&instances, known).iter().map(|instance| instance.id()));
    }
    for ((way, key), version) in &acknowledged.keys {
        let (client, path) = match way {
            Way::Consul => (&mut *consul, doors::stored(Key(*key))),
            _ => (&mut *native, doors::raw(Key(*key))),
        };
        let answer = client.send(Method::GET, &path, &[], Bytes::new()).await?;
        let found = serde_json::from_slice::<Value>(&answer.body).ok();
        let found = found.and_then(|value| value.version.parse::<u64>().ok());
        // What was sent last may be there without having been acknowledged.
        if found.is_none_or(|found| found < *version) {
            missing.push(format!("{} of {way:?}: {found:?} instead of {version}", Key(*key).name()));
        }
    }
    Ok(missing)
}

/// Those that are not known at the address that they have.
fn unknown(instances: &[Instance], known: Endpoints) -> Vec<Instance> {
    let known: BTreeMap<String, String> =
        known.endpoints.into_iter().map(|endpoint| (endpoint.id, endpoint.authority)).collect();
    let is_there = |instance: &Instance| {
        known.get(&instance.id()).is_some_and(|at| at.starts_with(&format!("{}:", instance.address())))
    };
    instances.iter().copied().filter(|instance| !is_there(instance)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::act::Service;
    use super::*;

    #[test]
    fn an_instance_that_is_missing_or_elsewhere_is_told() {
        let all: Vec<Instance> = (0..3).map(|number| Service(1).copy(number)).collect();
        let at = |instance: Instance, authority: String| Endpoint { id: instance.id(), authority };
        let endpoints =
            vec![at(all[0], format!("{}:8080", all[0].address())), at(all[1], "10.9.9.9:8080".into())];
        assert_eq!(unknown(&all, Endpoints { endpoints }), all[1..]);
    }
}
