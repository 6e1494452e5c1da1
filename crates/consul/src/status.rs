//! Who leads, and what else a client asks before anything else.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::json;

use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::Reply;
use crate::request::Params;

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/status/leader", get(leader))
        .route("/v1/status/peers", get(peers))
        .route("/v1/coordinate/datacenters", get(datacenters))
        .route("/v1/coordinate/nodes", get(coordinates))
        .route("/v1/coordinate/node/{node}", get(coordinates))
}

async fn leader(State(door): State<Door>, params: Params) -> Reply<Answer> {
    Ok(Answer::json(&params, &door.leader()))
}

async fn peers(State(door): State<Door>, params: Params) -> Reply<Answer> {
    Ok(Answer::json(&params, &[door.leader()]))
}

/// There is one datacenter, and nobody measures distances within it.
async fn datacenters(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let own = json!({"Datacenter": door.options.datacenter, "AreaID": "WAN", "Coordinates": []});
    Ok(Answer::json(&params, &[own]))
}

async fn coordinates(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let none: [(); 0] = [];
    Ok(Answer::json(&params, &none).at(&params, door.registry.index()))
}
