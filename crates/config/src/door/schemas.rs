//! JSON Schemas.

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json as json_value};
use trellis_net::refusal::{ProblemSchema, Reply};
use utoipa::IntoParams;

use super::input::{InSpace, Query, SpacePath, author, json};
use crate::handle::Handle;
use crate::versioned::SchemaView;

/// Where a schema is attached.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    /// The key, or a path above keys; an empty text for the whole environment.
    #[serde(default)]
    path: String,
    /// Why, for the audit.
    reason: Option<String>,
}

/// No parameters at all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The schemas of an app and environment.
#[utoipa::path(
    get, path = "/v1/config/{app}/{env}/schemas", tag = "config", operation_id = "list_config_schemas",
    params(SpacePath),
    responses((status = 200, description = "path, schema, revision", body = [Object])),
)]
pub(super) async fn list(
    State(handle): State<Handle>,
    InSpace(space): InSpace,
    Query(Nothing {}): Query<Nothing>,
) -> Answer<Vec<SchemaView>> {
    Answer(handle.config_schemas(&space))
}

/// Attach a schema to a key and all keys below it. Refused, with every place, if values that are there do not match.
#[utoipa::path(
    put, path = "/v1/config/{app}/{env}/schemas", tag = "config", operation_id = "attach_config_schema",
    params(SpacePath, Place),
    request_body(content = Object, description = "The JSON Schema"),
    responses(
        (status = 200, description = "revision", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn attach(
    State(handle): State<Handle>,
    InSpace(space): InSpace,
    Query(place): Query<Place>,
    headers: HeaderMap,
    body: Body,
) -> Reply<Answer<Value>> {
    let schema: Value = json(&headers, body, 0).await?;
    let who = author(&headers, place.reason);
    let revision = handle.config_set_schema(&space, &place.path, Some(schema), who).await?;
    Ok(Answer(json_value!({ "revision": revision })))
}

/// Take a schema away.
#[utoipa::path(
    delete, path = "/v1/config/{app}/{env}/schemas", tag = "config", operation_id = "detach_config_schema",
    params(SpacePath, Place),
    responses(
        (status = 200, description = "revision", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn detach(
    State(handle): State<Handle>,
    InSpace(space): InSpace,
    Query(place): Query<Place>,
    headers: HeaderMap,
) -> Reply<Answer<Value>> {
    let who = author(&headers, place.reason);
    let revision = handle.config_set_schema(&space, &place.path, None, who).await?;
    Ok(Answer(json_value!({ "revision": revision })))
}
