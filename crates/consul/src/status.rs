//! Who leads, and who else is there: what clients ask before anything else.

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::Reply;
use crate::request::Params;
use crate::servers::Server;

pub(crate) fn routes() -> Router<Door> {
    Router::new().route("/v1/status/leader", get(leader)).route("/v1/status/peers", get(peers))
}

/// The one that is asked: any member does what is asked of it.
async fn leader(State(door): State<Door>, params: Params) -> Reply<Answer> {
    Ok(Answer::json(&params, &door.leader()))
}

async fn peers(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let servers = door.servers();
    Ok(Answer::json(&params, &servers.iter().map(Server::address).collect::<Vec<_>>()))
}
