//! Who shares the platform's store.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use trellis_storage::members;
use utoipa::ToSchema;

use super::platform::Platform;

/// A process that shares the store, and with it registry and configuration.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    /// Another for every start.
    #[schema(example = "0198c4a2-77f0-7c3e-9d61-3f5a2f1f6f00")]
    pub id: String,
    /// What people call it: the name of its node.
    pub name: String,
    /// Its admin API.
    pub address: String,
    /// When it joined, in milliseconds since 1970, by the database's clock.
    pub started_unix_ms: i64,
    /// Whether it is the one that answers.
    pub is_this: bool,
}

/// Who shares the store, as last heard: on SQLite this process alone.
#[utoipa::path(get, path = "/v1/members", tag = "platform", operation_id = "members", responses((status = 200, body = [MemberView])))]
pub(super) async fn members(State(platform): State<Arc<Platform>>) -> Json<Vec<MemberView>> {
    Json(views(&platform.members))
}

/// Everybody, by name.
pub(super) fn views(handle: &members::Handle) -> Vec<MemberView> {
    let (_, list) = handle.list();
    let view = |member: &members::Member| MemberView {
        id: member.node_id.to_string(),
        name: member.name.to_string(),
        address: member.address.to_string(),
        started_unix_ms: member.started_unix_ms,
        is_this: member.node_id == *handle.node_id(),
    };
    let mut views: Vec<_> = list.iter().map(view).collect();
    views.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    views
}
