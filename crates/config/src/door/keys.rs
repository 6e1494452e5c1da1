//! Reading keys.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, Method, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use trellis_net::refusal::{ProblemSchema, Reply};
use utoipa::IntoParams;

use super::input::{InSpace, Key, Peer, Query, SpacePath};
use crate::error::Error;
use crate::handle::Handle;
use crate::versioned::{Format, Instance, ListView, Space};

/// How keys are shown.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Look {
    /// Only keys that begin so; an empty text for all.
    #[serde(default)]
    prefix: String,
    /// The instance that asks: it gets the candidates that are meant for it.
    instance: Option<String>,
    /// Its labels: `name=value`, separated by commas.
    labels: Option<String>,
    /// Show secrets: only to programs on this machine, and with `[config] allow_reveal = true`.
    #[serde(default)]
    reveal: bool,
    /// Show values in a list.
    #[serde(default)]
    values: bool,
    /// Answer with the value alone, as its own media type.
    #[serde(default)]
    raw: bool,
}

/// The instance that a query names.
pub(super) fn instance(id: Option<String>, labels: Option<&str>) -> Result<Option<Instance>, Error> {
    let Some(id) = id else { return Ok(None) };
    let pairs = labels.into_iter().flat_map(|text| text.split(',')).filter(|pair| !pair.is_empty());
    let labels: Option<BTreeMap<_, _>> = pairs
        .map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    let labels =
        labels.ok_or_else(|| Error::invalid("/labels", "labels are name=value, separated by commas"))?;
    Ok(Some(Instance { id, labels }))
}

/// The keys of an app and environment.
#[utoipa::path(
    get, path = "/v1/config/{app}/{env}/keys", tag = "config", operation_id = "list_config",
    params(SpacePath, Look),
    responses(
        (status = 200, description = "revision, and items: key, version, revision, content_type, value, secret, ...", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(handle): State<Handle>,
    InSpace(space): InSpace,
    Query(look): Query<Look>,
    peer: Peer,
) -> Reply<Answer<ListView>> {
    let instance = instance(look.instance, look.labels.as_deref())?;
    let reveal = peer.may_reveal(&handle, look.reveal)?;
    Ok(Answer(handle.config_list(&space, &look.prefix, instance.as_ref(), look.values, reveal)?))
}

/// One key, as an instance gets it.
///
/// The version is the `ETag`, to be sent back as `If-Match`. A secret is shown as `***` unless it is to be revealed.
#[utoipa::path(
    get, path = "/v1/config/{app}/{env}/keys/{key}", tag = "config", operation_id = "show_config",
    params(
        SpacePath,
        ("key" = String, Path, description = "The key, such as orders/limits/max"), Look,
    ),
    responses(
        (status = 200, description = "key, version, revision, content_type, value, secret, is_candidate, candidate_for", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(handle): State<Handle>,
    Key(key): Key,
    Query(look): Query<Look>,
    peer: Peer,
) -> Reply<Response> {
    let instance = instance(look.instance, look.labels.as_deref())?;
    let reveal = peer.may_reveal(&handle, look.reveal)?;
    if look.raw {
        return Ok(raw(handle.config_text(&key, instance.as_ref(), reveal)?));
    }
    let view = handle.config_get(&key, instance.as_ref(), reveal)?;
    Ok(([(ETAG, format!("\"{}\"", view.version))], Answer(view)).into_response())
}

/// Answers what is asked most often, a value as it was written, without a router. None: it is another question, or put in
/// another way, or there is no such key, and the [router](super::router) has the answer.
pub fn at_once<B>(handle: &Handle, request: &Request<B>) -> Option<Response> {
    let uri = request.uri();
    if request.method() != Method::GET || uri.query() != Some("raw=true") {
        return None;
    }
    let mut parts = uri.path().strip_prefix("/v1/config/")?.splitn(4, '/');
    let (app, env, keys, key) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // What is no name is the router's, and what is written with escapes.
    if keys != "keys" || key.contains('%') {
        return None;
    }
    let key = Space { app: app.parse().ok()?, env: env.parse().ok()? }.key(key).ok()?;
    handle.config_text(&key, None, false).ok().map(raw)
}

fn raw((format, value, version): (Format, Bytes, u64)) -> Response {
    let mut response = Response::new(value.into());
    let headers = response.headers_mut();
    headers.reserve(2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    // A number in quotes is a value of a header.
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        headers.insert(ETAG, tag);
    }
    response
}
