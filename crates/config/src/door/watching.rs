//! Following keys, by long-poll or as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use trellis_core::HumanDuration;
use trellis_net::refusal::{ProblemSchema, Reply};
use utoipa::IntoParams;

use super::input::{InSpace, Peer, Query, SpacePath, invalid};
use super::keys::instance;
use crate::error::Error;
use crate::handle::Handle;
use crate::versioned::{Form, Watch};

/// How long a request waits if it does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// How long one event is waited for; then there is a sign of life, and the stream waits anew.
const EVENT_WAIT: Duration = Duration::from_secs(15);
/// The last event that a client has seen, and from which it goes on.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What to follow.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Follow {
    /// Only keys that begin so; an empty text for all.
    #[serde(default)]
    prefix: String,
    /// The revision of the last answer; absent or 0: everything, at once.
    #[serde(default)]
    revision: u64,
    /// Longest wait for a change, such as 30s, which is the default.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<HumanDuration>,
    /// The instance that asks: it gets the candidates that are meant for it.
    instance: Option<String>,
    /// Its labels: `name=value`, separated by commas.
    labels: Option<String>,
    /// Show secrets: only to programs on this machine, and with `[config] allow_reveal = true`.
    #[serde(default)]
    reveal: bool,
}

/// What has changed since a revision, as soon as there is something.
///
/// Send the revision of the last answer. An answer without items says that nothing has changed. `resync` says that
/// everything is told anew. With `Accept: text/event-stream` the changes come as events whose id is the revision;
/// `Last-Event-ID` goes on from there. Who reads slowly gets the latest of each key, never a backlog.
#[utoipa::path(
    get, path = "/v1/config/{app}/{env}/watch", tag = "config", operation_id = "watch_config",
    params(SpacePath, Follow),
    responses(
        (status = 200, description = "revision, resync, items", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn watch(
    State(handle): State<Handle>,
    InSpace(space): InSpace,
    Query(follow): Query<Follow>,
    peer: Peer,
    headers: HeaderMap,
) -> Reply<Response> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let after = match text(LAST_EVENT_ID) {
        Some(id) => id.parse().map_err(|_| invalid("Last-Event-ID is not the id of an event: a revision"))?,
        None => follow.revision,
    };
    let instance = instance(follow.instance, follow.labels.as_deref())?;
    let reveal = peer.may_reveal(&handle, follow.reveal)?;
    let mut watch = handle.watch(&space, &follow.prefix, after, instance, reveal)?;
    if text(ACCEPT).is_some_and(|accept| accept.contains("text/event-stream")) {
        let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
        return Ok((headers, Body::from_stream(events(watch))).into_response());
    }
    let wait = follow.wait.map_or(DEFAULT_WAIT, Duration::from);
    let told = watch.next_told(wait, Form::Json).await?;
    Ok(([(CONTENT_TYPE, "application/json")], told.body).into_response())
}

/// One event for each change, until the service stops or there is no room to wait. The next one is looked for when the
/// client has taken the last one, so nothing piles up for who does not read.
fn events(watch: Watch) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next_told(EVENT_WAIT, Form::Event).await {
            Ok(told) if told.is_empty && watch.is_over() => None,
            Ok(told) if told.is_empty => Some((Ok(Bytes::from_static(b":\n\n")), Some(watch))),
            Ok(told) => Some((Ok(told.body), Some(watch))),
            Err(error) => Some((Ok(refusal(&error)), None)),
        }
    })
}

fn refusal(error: &Error) -> Bytes {
    // None of the texts of errors that a watch can have spans lines.
    format!("event: error\ndata: {} [{}]\n\n", error.to_string().replace('\n', " "), error.code().id).into()
}
