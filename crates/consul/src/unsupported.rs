//! What Consul has and Trellis does not, or does elsewhere: each says why.

use axum::Router;
use axum::routing::{MethodRouter, any};

use crate::door::Door;
use crate::refusal::Refusal;

pub(crate) fn routes() -> Router<Door> {
    let connect = "Trellis has a mesh of its own (phase = \"service_mesh\"); Consul's has no certificate authority here";
    let query =
        "prepared queries are not kept; ask /v1/health/service/NAME?passing with tag, node-meta or filter";
    let snapshot = "a copy of the data directory, or a dump of the database, is the snapshot of everything";
    let membership = "nodes join and leave by sharing a database (app.store), not by asking each other";
    let peering = "clusters are not peered";
    Router::new()
        .route("/v1/exported-services", because(peering))
        .route("/v1/connect/{*rest}", because(connect))
        .route("/v1/agent/connect/{*rest}", because(connect))
        .route("/v1/query", because(query))
        .route("/v1/query/{*rest}", because(query))
        .route("/v1/snapshot", because(snapshot))
        .route("/v1/peering", because(peering))
        .route("/v1/peering/{*rest}", because(peering))
        .route("/v1/peerings", because(peering))
        .route("/v1/agent/join/{*rest}", because(membership))
        .route("/v1/agent/force-leave/{node}", because(membership))
        .route("/v1/agent/host", because("figures of the machine are telemetry, not the registry's"))
}

fn because(why: &'static str) -> MethodRouter<Door> {
    any(move || async move { Refusal::unsupported(why) })
}
