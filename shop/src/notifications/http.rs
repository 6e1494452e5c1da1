//! The door for messages: HTTP to the service layer and back.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderMap;
use trellis_sdk::http::{Created, Json, Page, Path, Query, Reply};
use uuid::Uuid;

use super::model::{Message, MessageInput};
use super::service::Notifications;
use crate::idempotency;
use crate::paging::PageQuery;

pub(super) fn router(notifications: Notifications) -> Router {
    Router::new()
        .route("/notifications", get(list).post(queue))
        .route("/notifications/{id}", get(one))
        .with_state(notifications)
}

async fn list(
    State(notifications): State<Notifications>,
    Query(query): Query<PageQuery>,
) -> Reply<Page<Message>> {
    Ok(notifications.list(&query.window()?).await?.into_page(""))
}

async fn queue(
    State(notifications): State<Notifications>,
    headers: HeaderMap,
    Json(input): Json<MessageInput>,
) -> Reply<Response> {
    let queued = notifications.queue(idempotency::key(&headers)?, input).await?;
    let body = queued.message;
    if !queued.is_new {
        return Ok(Json(body).into_response());
    }
    Ok(Created { location: format!("notifications/{}", body.id), body }.into_response())
}

async fn one(State(notifications): State<Notifications>, Path(id): Path<Uuid>) -> Reply<Json<Message>> {
    Ok(Json(notifications.get(id).await?))
}
