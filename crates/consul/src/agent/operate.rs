//! What a client asks the platform to do to itself.

use axum::extract::State;
use trellis_core::{Error, codes};

use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::{Refusal, Reply};
use crate::request::Params;

/// Stops this platform in order, as a signal would. What it answers is sent while it stops.
pub(super) async fn leave(State(door): State<Door>, _params: Params) -> Reply<Answer> {
    let Some(stop) = &door.platform.leave else {
        return Err(Refusal::unsupported(
            "who may stop the platform is said by the operating system; `[consul] allow_leave = true` lets clients, too",
        ));
    };
    tracing::warn!("a client of the door for Consul stops the platform, as [consul] allow_leave lets it");
    stop.trigger();
    Ok(Answer::empty())
}

/// Reads the settings anew.
pub(super) async fn reload(State(door): State<Door>, _params: Params) -> Reply<Answer> {
    let Some(reload) = door.platform.reload.clone() else {
        return Err(Refusal::unsupported("there is nothing to read anew"));
    };
    let ended = tokio::task::spawn_blocking(move || reload()).await;
    match ended.unwrap_or_else(|_| Err(Error::new(codes::INTERNAL, "reading anew broke off"))) {
        Ok(()) => Ok(Answer::empty()),
        // Consul answers with 500 whoever is at fault, and its clients look for that.
        Err(error) => Err(Refusal { status: Refusal::failed("").status, ..error.into() }),
    }
}
