//! What operators of Consul ask: who takes part, and how much there is.

use axum::Router;
use axum::extract::State;
use axum::routing::{any, delete, get, post};
use serde_json::json;

use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::{Refusal, Reply};
use crate::request::Params;

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/operator/raft/configuration", get(raft))
        .route("/v1/operator/raft/peer", delete(no_raft))
        .route("/v1/operator/raft/transfer-leader", post(no_raft))
        .route("/v1/operator/autopilot/{*rest}", any(no_raft))
        .route("/v1/operator/keyring", any(no_gossip))
        .route("/v1/operator/usage", get(usage))
}

/// One server: this one. There is no Raft; those that share a database are not known here.
async fn raft(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let server = json!({
        "ID": door.node().as_str(),
        "Node": door.node().as_str(),
        "Address": door.leader(),
        "Leader": true,
        "Voter": true,
        "ProtocolVersion": "3",
        "LastIndex": door.registry.index(),
    });
    Ok(Answer::json(&params, &json!({"Servers": [server], "Index": 0})))
}

async fn usage(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let stats = door.registry.stats();
    let own = json!({
        "Nodes": stats.nodes,
        "Services": stats.services,
        "ServiceInstances": stats.instances,
        "ConnectServiceInstances": {},
        "BillableServiceInstances": stats.instances,
    });
    let usage = json!({
        "Usage": {&door.options.datacenter: own},
        "Index": door.registry.index(),
        "LastContact": 0,
        "KnownLeader": true,
        "ConsistencyLevel": params.consistency(),
        "NotModified": false,
    });
    Ok(Answer::json(&params, &usage).at(&params, door.registry.index()))
}

async fn no_raft() -> Refusal {
    Refusal::unsupported(
        "there is no Raft: the database decides, and no peer is added, removed or made leader",
    )
}

async fn no_gossip() -> Refusal {
    Refusal::unsupported("there is no gossip, so it has no keys")
}
