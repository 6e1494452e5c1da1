//! `/v1/coordinate`: where nodes are in the space of round-trip times, as whoever measures them says. Nobody here does.
//! They are kept in memory, one for each registered node: who measures says so again and again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use trellis_registry::Name;

use crate::answer::Answer;
use crate::door::{Door, filtered};
use crate::health::name_of;
use crate::refusal::{Refusal, Reply};
use crate::request::{self, Params, Whole};

/// How many dimensions a coordinate has, beside its height.
const DIMENSIONS: usize = 8;

/// A place, in seconds of round trip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Coordinate {
    adjustment: f64,
    error: f64,
    height: f64,
    vec: Vec<f64>,
}

impl Coordinate {
    /// Where a node is of which nothing is known: at the origin, with the largest error.
    fn unknown() -> Self {
        Self { adjustment: 0.0, error: 1.5, height: 1e-5, vec: vec![0.0; DIMENSIONS] }
    }
}

/// The last coordinate of each node.
pub(crate) struct Coordinates {
    kept: Mutex<BTreeMap<Name, Coordinate>>,
    /// Counts the changes.
    index: watch::Sender<u64>,
}

impl Default for Coordinates {
    fn default() -> Self {
        Self { kept: Mutex::default(), index: watch::Sender::new(1) }
    }
}

impl Coordinates {
    /// Keeps it; there is room for as many as there are nodes.
    fn put(&self, node: Name, coordinate: Coordinate, nodes: usize, is_there: impl Fn(&Name) -> bool) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.get(&node) == Some(&coordinate) {
            return;
        }
        kept.insert(node, coordinate);
        if kept.len() > nodes {
            kept.retain(|node, _| is_there(node));
        }
        self.index.send_modify(|index| *index += 1);
    }

    fn of(&self, node: &Name) -> Option<Coordinate> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(node).cloned()
    }

    fn all(&self) -> Vec<(Name, Coordinate)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|(node, coordinate)| (node.clone(), coordinate.clone())).collect()
    }
}

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/coordinate/datacenters", get(datacenters))
        .route("/v1/coordinate/nodes", get(nodes))
        .route("/v1/coordinate/node/{node}", get(node))
        .route("/v1/coordinate/update", put(update))
}

fn row(node: &Name, coordinate: &Coordinate) -> Value {
    json!({"Node": node, "Segment": "", "Coord": coordinate})
}

/// There is one datacenter; its servers are the members of the store.
async fn datacenters(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let servers = door.servers();
    let rows = servers.iter().map(|server| {
        row(server.name(), &door.coordinates.of(server.name()).unwrap_or_else(Coordinate::unknown))
    });
    let own = json!({
        "Datacenter": door.options.datacenter,
        "AreaID": "WAN",
        "Coordinates": rows.collect::<Vec<_>>(),
    });
    Ok(Answer::json(&params, &[own]))
}

async fn nodes(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let index = follow(&door, &params).await;
    let mut all = door.coordinates.all();
    all.retain(|(node, _)| door.registry.node(node).is_some());
    let rows: Vec<_> = all.iter().map(|(node, coordinate)| row(node, coordinate)).collect();
    Ok(filtered(&params, rows)?.at(&params, index))
}

async fn node(State(door): State<Door>, params: Params, Path(node): Path<String>) -> Reply<Answer> {
    let name = name_of(&node)?;
    let index = follow(&door, &params).await;
    let known = door.registry.node(&name).and_then(|_| door.coordinates.of(&name));
    Ok(match known {
        Some(coordinate) => Answer::json(&params, &[row(&name, &coordinate)]),
        None => Answer::empty().with_status(StatusCode::NOT_FOUND),
    }
    .at(&params, index))
}

async fn update(State(door): State<Door>, params: Params, Whole(body): Whole) -> Reply<Answer> {
    let mut object = request::read(&body)?;
    object.without(&["Segment"], "the network has no segments")?;
    let name = name_of(&object.text("Node")?)?;
    let wrong = |why: &str| Refusal::bad(format!("invalid coordinate: {why}"));
    let coordinate = object.take("Coord").ok_or_else(|| wrong("there is none"))?;
    let coordinate: Coordinate =
        serde_json::from_value(coordinate).map_err(|error| wrong(&error.to_string()))?;
    if coordinate.vec.len() != DIMENSIONS {
        return Err(wrong(&format!("Vec has {DIMENSIONS} numbers")));
    }
    if door.registry.node(&name).is_none() {
        return Err(Refusal::bad(format!("the node {name} is not registered")));
    }
    let nodes = usize::try_from(door.registry.stats().nodes).unwrap_or(usize::MAX);
    door.coordinates.put(name, coordinate, nodes, |node| door.registry.node(node).is_some());
    Ok(Answer::json(&params, &true))
}

/// Waits, if asked to, until a coordinate has changed; the index of what is there then.
async fn follow(door: &Door, params: &Params) -> u64 {
    let changes = &door.coordinates.index;
    if let Some(after) = params.index() {
        let mut index = changes.subscribe();
        // The end of the wait is an answer like any other.
        let _in_time = tokio::time::timeout(door.wait(params), index.wait_for(|index| *index != after)).await;
    }
    *changes.borrow()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_nodes_that_are_gone_make_room() {
        let coordinates = Coordinates::default();
        let name = |text: &str| text.parse::<Name>().unwrap();
        for node in ["a", "b"] {
            coordinates.put(name(node), Coordinate::unknown(), 2, |_| true);
        }
        coordinates.put(name("c"), Coordinate::unknown(), 2, |node| *node != name("a"));
        let kept: Vec<_> = coordinates.all().into_iter().map(|(node, _)| node.to_string()).collect();
        assert_eq!(kept, ["b", "c"]);
        let index = *coordinates.index.borrow();
        coordinates.put(name("c"), Coordinate::unknown(), 2, |_| true);
        assert_eq!(*coordinates.index.borrow(), index, "nothing has changed");
    }
}
