//! Changing keys.

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use trellis_net::refusal::{ProblemSchema, Reply};
use utoipa::{IntoParams, ToSchema};

use super::input::{InSpace, Key, KeyPath, Query, SpacePath, author, expected, json, value};
use crate::error::Error;
use crate::handle::Handle;
use crate::versioned::{Address, Author, Change, Edit, Format, Rule, Written};

/// What is said about a change beside it.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct About {
    /// The version that the key has to be at; 0: there must be no such key. `If-Match` says the same.
    cas: Option<u64>,
    /// Whether it is a secret from now on; as before if absent.
    secret: Option<bool>,
    /// Why, for the audit.
    reason: Option<String>,
    /// For a rollback: the version to bring back.
    to: Option<u64>,
    /// For a deletion: remove the key's history, too, so that it counts no longer and cannot be brought back.
    #[serde(default)]
    purge: bool,
}

async fn one(
    handle: &Handle,
    address: Address,
    change: Change,
    cas: Option<u64>,
    who: Author,
) -> Reply<Answer<Written>> {
    let written = handle.config_apply(vec![Edit { address, change, cas }], who).await?;
    let first = written.into_iter().next();
    first.map(Answer).ok_or_else(|| Error::Conflict("nothing was changed".into()).into())
}

/// Write a key. Its media type says what kind of text it is; JSON is checked, and schemas are enforced.
#[utoipa::path(
    put, path = "/v1/config/{app}/{env}/keys/{key}", tag = "config", operation_id = "set_config",
    params(KeyPath, About),
    request_body(content = Object, description = "The value", content_type = "application/json"),
    responses(
        (status = 200, description = "key, version, revision", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put(
    State(handle): State<Handle>,
    Key(key): Key,
    Query(about): Query<About>,
    headers: HeaderMap,
    body: Body,
) -> Reply<Answer<Written>> {
    let cas = expected(&headers, about.cas)?;
    let (format, value) = value(&headers, body, handle.options().max_value).await?;
    let change = Change::Set { format, value, secret: about.secret };
    one(&handle, key, change, cas, author(&headers, about.reason)).await
}

/// Delete a key. Its history stays, and a rollback brings it back, unless it is purged.
#[utoipa::path(
    delete, path = "/v1/config/{app}/{env}/keys/{key}", tag = "config", operation_id = "delete_config",
    params(KeyPath, About),
    responses(
        (status = 200, description = "key, version, revision", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(handle): State<Handle>,
    Key(key): Key,
    Query(about): Query<About>,
    headers: HeaderMap,
) -> Reply<Answer<Written>> {
    let cas = expected(&headers, about.cas)?;
    let change = if about.purge { Change::Purge } else { Change::Delete };
    one(&handle, key, change, cas, author(&headers, about.reason)).await
}

/// Bring back the value of an earlier version, as a new version.
#[utoipa::path(
    post, path = "/v1/config/{app}/{env}/rollback/{key}", tag = "config", operation_id = "roll_config_back",
    params(KeyPath, About),
    responses(
        (status = 200, description = "key, version, revision", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn rollback(
    State(handle): State<Handle>,
    Key(key): Key,
    Query(about): Query<About>,
    headers: HeaderMap,
) -> Reply<Answer<Written>> {
    let to = about.to.ok_or_else(|| Error::invalid("/to", "say which version: to=3"))?;
    let cas = expected(&headers, about.cas)?;
    one(&handle, key, Change::Rollback { to }, cas, author(&headers, about.reason)).await
}

/// A value for some instances.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfigCandidate)]
pub(super) struct CandidateBody {
    /// The value: JSON as it is; text of another format as a string.
    #[schema(value_type = Object)]
    value: Box<RawValue>,
    /// `json` if absent.
    #[serde(default = "json_format")]
    #[schema(value_type = String)]
    format: Format,
    /// Who gets it: `labels`, `share` (0 to 1), `when` (CEL over `instance.id` and `labels`); all that are given.
    #[schema(value_type = Object)]
    rule: Rule,
}

fn json_format() -> Format {
    Format::Json
}

fn content(format: Format, value: &RawValue) -> Result<bytes::Bytes, Error> {
    if format == Format::Json {
        return Ok(value.get().to_owned().into());
    }
    let text: Result<String, _> = serde_json::from_str(value.get());
    text.map(Into::into).map_err(|_| Error::invalid("/value", "a value that is not JSON is a string"))
}

/// Give some instances another value: a candidate, beside the value for all.
#[utoipa::path(
    put, path = "/v1/config/{app}/{env}/gray/{key}", tag = "config", operation_id = "set_config_candidate",
    params(KeyPath, About),
    request_body = CandidateBody,
    responses(
        (status = 200, description = "key, version, revision", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn candidate(
    State(handle): State<Handle>,
    Key(key): Key,
    Query(about): Query<About>,
    headers: HeaderMap,
    body: Body,
) -> Reply<Answer<Written>> {
    let cas = expected(&headers, about.cas)?;
    let body: CandidateBody = json(&headers, body, handle.options().max_value).await?;
    let value = content(body.format, &body.value)?;
    let change = Change::Candidate { format: body.format, value, rule: body.rule };
    one(&handle, key, change, cas, author(&headers, about.reason)).await
}

/// Make the candidate the value for all.
#[utoipa::path(
    post, path = "/v1/config/{app}/{env}/gray/{key}", tag = "config", operation_id = "promote_config",
    params(KeyPath, About),
    responses(
        (status = 200, description = "key, version, revision", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn promote(
    State(handle): State<Handle>,
    Key(key): Key,
    Query(about): Query<About>,
    headers: HeaderMap,
) -> Reply<Answer<Written>> {
    let cas = expected(&headers, about.cas)?;
    one(&handle, key, Change::Promote, cas, author(&headers, about.reason)).await
}

/// Drop the candidate: all get the value again.
#[utoipa::path(
    delete, path = "/v1/config/{app}/{env}/gray/{key}", tag = "config", operation_id = "abort_config",
    params(KeyPath, About),
    responses(
        (status = 200, description = "key, version, revision", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn abort(
    State(handle): State<Handle>,
    Key(key): Key,
    Query(about): Query<About>,
    headers: HeaderMap,
) -> Reply<Answer<Written>> {
    let cas = expected(&headers, about.cas)?;
    one(&handle, key, Change::Abort, cas, author(&headers, about.reason)).await
}

/// One operation of a transaction.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConfigOp)]
pub(super) struct Op {
    /// The key.
    key: String,
    /// The new value; absent: the key is deleted.
    #[schema(value_type = Option<Object>)]
    value: Option<Box<RawValue>>,
    /// `json` if absent.
    #[serde(default = "json_format")]
    #[schema(value_type = String)]
    format: Format,
    /// Whether it is a secret from now on.
    secret: Option<bool>,
    /// The version that the key has to be at.
    cas: Option<u64>,
}

/// Write and delete several keys: all of them or none.
#[utoipa::path(
    post, path = "/v1/config/{app}/{env}/txn", tag = "config", operation_id = "change_config",
    params(SpacePath, About),
    request_body = [Op],
    responses(
        (status = 200, description = "For each operation key, version, revision", body = [Object]),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn txn(
    State(handle): State<Handle>,
    InSpace(space): InSpace,
    Query(about): Query<About>,
    headers: HeaderMap,
    body: Body,
) -> Reply<Answer<Vec<Written>>> {
    let ops: Vec<Op> = json(&headers, body, handle.options().max_value).await?;
    let edit = |op: Op| {
        let change = match op.value {
            Some(value) => {
                Change::Set { format: op.format, value: content(op.format, &value)?, secret: op.secret }
            }
            None => Change::Delete,
        };
        Ok(Edit { address: space.key(&op.key)?, change, cas: op.cas })
    };
    let edits = ops.into_iter().map(edit).collect::<Result<Vec<_>, Error>>()?;
    Ok(Answer(handle.config_apply(edits, author(&headers, about.reason)).await?))
}
