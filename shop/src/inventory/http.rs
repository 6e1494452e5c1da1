//! The HTTP door for stock and reservations.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use trellis_sdk::http::{Created, Json, Page, Path, Query, Reply};
use uuid::Uuid;

use super::model::{Item, ItemInput, Reservation, ReserveInput};
use super::service::Inventory;
use crate::paging::PageQuery;

pub(super) fn router(inventory: Inventory) -> Router {
    Router::new()
        .route("/inventory", get(list))
        .route("/inventory/{sku}", get(one).put(put))
        .route("/inventory/reservations", post(reserve))
        .route("/inventory/reservations/{id}", get(reservation))
        .route("/inventory/reservations/{id}/release", post(release))
        .with_state(inventory)
}

async fn list(State(inventory): State<Inventory>, Query(query): Query<PageQuery>) -> Reply<Page<Item>> {
    Ok(inventory.list(&query.window()?).await?.into_page(""))
}

async fn one(State(inventory): State<Inventory>, Path(sku): Path<String>) -> Reply<Json<Item>> {
    Ok(Json(inventory.get(&sku).await?))
}

async fn put(
    State(inventory): State<Inventory>,
    Path(sku): Path<String>,
    Json(input): Json<ItemInput>,
) -> Reply<Json<Item>> {
    Ok(Json(inventory.put(&sku, input).await?))
}

async fn reserve(State(inventory): State<Inventory>, Json(input): Json<ReserveInput>) -> Reply<Response> {
    let reserved = inventory.reserve(input).await?;
    let body = reserved.reservation;
    if !reserved.is_new {
        return Ok(Json(body).into_response());
    }
    Ok(Created { location: format!("reservations/{}", body.id), body }.into_response())
}

async fn reservation(State(inventory): State<Inventory>, Path(id): Path<Uuid>) -> Reply<Json<Reservation>> {
    Ok(Json(inventory.reservation(id).await?))
}

async fn release(State(inventory): State<Inventory>, Path(id): Path<Uuid>) -> Reply<Json<Reservation>> {
    Ok(Json(inventory.release(id).await?))
}
