//! The door for orders: HTTP to the service layer and back.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use trellis_sdk::http::{Created, Json, Page, Path, Query, Reply};

use super::model::{NewOrder, Order, OrderDetail, Status};
use super::repository::Filter;
use super::saga::Mesh;
use crate::idempotency;
use crate::paging::PageQuery;

type Service = super::service::Service<Mesh>;

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/orders", get(list).post(place))
        .route("/orders/{id}", get(one))
        .route("/orders/{id}/cancel", post(cancel))
        .with_state(service)
}

#[derive(Deserialize)]
struct ListQuery {
    user_id: Option<i64>,
    status: Option<Status>,
    limit: Option<u32>,
    cursor: Option<String>,
}

async fn list(State(orders): State<Arc<Service>>, Query(query): Query<ListQuery>) -> Reply<Page<Order>> {
    let ListQuery { user_id, status, limit, cursor } = query;
    let window = PageQuery { limit, cursor }.window()?;
    let user = user_id.map(|id| format!("&user_id={id}")).unwrap_or_default();
    let in_status = status.map(|status| format!("&status={}", status.as_str())).unwrap_or_default();
    let slice = orders.list(Filter { user_id, status }, &window).await?;
    Ok(slice.into_page(&format!("{user}{in_status}")))
}

async fn place(
    State(orders): State<Arc<Service>>,
    headers: HeaderMap,
    Json(order): Json<NewOrder>,
) -> Reply<Created<OrderDetail>> {
    let body = orders.place(idempotency::key(&headers)?, order).await?;
    Ok(Created { location: format!("orders/{}", body.order.id), body })
}

async fn one(State(orders): State<Arc<Service>>, Path(id): Path<i64>) -> Reply<Json<OrderDetail>> {
    Ok(Json(orders.get(id).await?))
}

/// 200 when the order is cancelled, 202 while money and stock are still being given back.
async fn cancel(State(orders): State<Arc<Service>>, Path(id): Path<i64>) -> Reply<Response> {
    let cancelled = orders.cancel(id).await?;
    let body = Json(cancelled.order);
    if cancelled.is_done {
        return Ok(body.into_response());
    }
    Ok((StatusCode::ACCEPTED, [(RETRY_AFTER, "1")], body).into_response())
}
