//! What operators of Consul ask: who takes part, and how much there is.

mod autopilot;

use axum::Router;
use axum::extract::State;
use axum::routing::{any, delete, get, post};
use serde_json::json;

use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::{Refusal, Reply};
use crate::request::Params;
use crate::servers::Server;

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/operator/raft/configuration", get(raft))
        .route("/v1/operator/raft/peer", delete(no_raft))
        .route("/v1/operator/raft/transfer-leader", post(no_raft))
        .route(
            "/v1/operator/autopilot/configuration",
            get(autopilot::configuration).put(autopilot::configure),
        )
        .route("/v1/operator/autopilot/health", get(autopilot::health))
        .route("/v1/operator/autopilot/state", get(autopilot::state))
        .route("/v1/operator/keyring", any(no_gossip))
        .route("/v1/operator/usage", get(usage))
}

/// The members of the store. There is no Raft, so nobody votes and nothing is behind: each does what is asked of it, and
/// the one that is asked is told as the leader.
async fn raft(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let servers = door.servers();
    let server = |server: &Server| {
        json!({
            "ID": &**server.id(),
            "Node": server.name(),
            "Address": server.address(),
            "Leader": server.known.is_own,
            "Voter": true,
            "ProtocolVersion": "3",
            "LastIndex": server.known.is_own.then(|| door.registry.index()),
        })
    };
    let servers: Vec<_> = servers.iter().map(server).collect();
    Ok(Answer::json(&params, &json!({"Servers": servers, "Index": 0})))
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
