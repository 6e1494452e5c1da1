//! Following keys, by long-poll or as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use trellis_core::HumanDuration;
use utoipa::IntoParams;

use super::input::{InSpace, Query};
use super::keys::instance;
use super::refusal::Reply;
use super::schema;
use crate::error::Error;
use crate::handle::Handle;
use crate::versioned::Watch;

/// How long a request waits if it does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// How long one event is waited for; then the stream waits anew, with a sign of life in between.
const EVENT_WAIT: Duration = Duration::from_mins(1);

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
    /// Show secrets.
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
    params(("app" = String, Path, description = "The application"), ("env" = String, Path, description = "The environment"), Follow),
    responses(
        (status = 200, description = "revision, resync, items", body = Object),
        (status = "default", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn watch(
    State(handle): State<Handle>,
    InSpace(space): InSpace,
    Query(follow): Query<Follow>,
    headers: HeaderMap,
) -> Reply<Response> {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let last = text(axum::http::HeaderName::from_static("last-event-id")).and_then(|id| id.parse().ok());
    let after = last.unwrap_or(follow.revision);
    let instance = instance(follow.instance, follow.labels.as_deref())?;
    let mut watch = handle.watch(&space, &follow.prefix, after, instance, follow.reveal)?;
    if text(ACCEPT).is_some_and(|accept| accept.contains("text/event-stream")) {
        return Ok(Sse::new(events(watch)).keep_alive(KeepAlive::default()).into_response());
    }
    let wait = follow.wait.map_or(DEFAULT_WAIT, Duration::from);
    Ok(Answer(watch.next(wait).await?).into_response())
}

/// One event for each change, until the service stops or there is no room to wait.
fn events(watch: Watch) -> impl stream::Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        loop {
            match watch.next(EVENT_WAIT).await {
                Ok(update) if update.items.is_empty() && !update.resync => {
                    if watch.is_over() {
                        return None;
                    }
                }
                Ok(update) => {
                    let kind = if update.resync { "resync" } else { "change" };
                    let json = serde_json::to_string(&update).unwrap_or_default();
                    let event = Event::default().event(kind).id(update.revision.to_string()).data(json);
                    return Some((Ok(event), Some(watch)));
                }
                Err(error) => return Some((Ok(refusal(&error)), None)),
            }
        }
    })
}

fn refusal(error: &Error) -> Event {
    Event::default().event("error").data(format!("{error} [{}]", error.code().id))
}
