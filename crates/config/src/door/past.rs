//! What was: versions, differences, audit.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use trellis_net::refusal::{ProblemSchema, Reply};
use utoipa::IntoParams;

use super::input::{InSpace, Key, KeyPath, Peer, Query, SpacePath};
use crate::handle::Handle;
use crate::versioned::{AuditView, DiffView, VersionView};

/// Which part of the past.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Only versions (for the audit: revisions) before this one.
    before: Option<u64>,
    /// At most so many, up to 1000.
    #[serde(default = "page")]
    limit: u32,
    /// Show secrets: only to programs on this machine, and with `[config] allow_reveal = true`.
    #[serde(default)]
    reveal: bool,
    /// For the audit: only keys that begin so.
    #[serde(default)]
    prefix: String,
}

fn page() -> u32 {
    50
}

/// Which versions to compare.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Between {
    /// The earlier version.
    from: u64,
    /// The later version.
    to: u64,
    /// Show secrets: only to programs on this machine, and with `[config] allow_reveal = true`.
    #[serde(default)]
    reveal: bool,
}

/// The versions of a key, newest first.
#[utoipa::path(
    get, path = "/v1/config/{app}/{env}/history/{key}", tag = "config", operation_id = "config_history",
    params(KeyPath, Page),
    responses(
        (status = 200, description = "version, revision, action, actor, reason, at_unix_ms, content_type, secret, value, rule", body = [Object]),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn history(
    State(handle): State<Handle>,
    Key(key): Key,
    Query(page): Query<Page>,
    peer: Peer,
) -> Reply<Answer<Vec<VersionView>>> {
    let reveal = peer.may_reveal(&handle, page.reveal)?;
    Ok(Answer(handle.config_history(&key, page.before, page.limit, reveal).await?))
}

/// What is different between two versions, by JSON pointer and by line.
#[utoipa::path(
    get, path = "/v1/config/{app}/{env}/diff/{key}", tag = "config", operation_id = "config_diff",
    params(KeyPath, Between),
    responses(
        (status = 200, description = "from, to, differences (pointer, before, after), text", body = Object),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn diff(
    State(handle): State<Handle>,
    Key(key): Key,
    Query(between): Query<Between>,
    peer: Peer,
) -> Reply<Answer<DiffView>> {
    let reveal = peer.may_reveal(&handle, between.reveal)?;
    Ok(Answer(handle.config_diff(&key, between.from, between.to, reveal).await?))
}

/// Who changed what, newest first.
#[utoipa::path(
    get, path = "/v1/config/{app}/{env}/audit", tag = "config", operation_id = "config_audit",
    params(SpacePath, Page),
    responses(
        (status = 200, description = "revision, key, action, version, actor, reason, at_unix_ms", body = [Object]),
        (status = "default", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn audit(
    State(handle): State<Handle>,
    InSpace(space): InSpace,
    Query(page): Query<Page>,
) -> Reply<Answer<Vec<AuditView>>> {
    Ok(Answer(handle.config_audit(&space, &page.prefix, page.before, page.limit).await?))
}
