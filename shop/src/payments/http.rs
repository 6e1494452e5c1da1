//! The door for payments: HTTP to the service layer and back.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use trellis_sdk::http::{Created, Json, Page, Path, Query, Reply};
use uuid::Uuid;

use super::model::{AuthoriseInput, Payment, VoidInput};
use super::service::Payments;
use crate::paging::PageQuery;

pub(super) fn router(payments: Payments) -> Router {
    Router::new()
        .route("/payments", get(list).post(authorise))
        .route("/payments/void", post(void))
        .route("/payments/{id}", get(one))
        .route("/payments/{id}/capture", post(capture))
        .route("/payments/{id}/refund", post(refund))
        .with_state(payments)
}

async fn list(State(payments): State<Payments>, Query(query): Query<PageQuery>) -> Reply<Page<Payment>> {
    Ok(payments.list(&query.window()?).await?.into_page(""))
}

async fn authorise(State(payments): State<Payments>, Json(input): Json<AuthoriseInput>) -> Reply<Response> {
    let authorised = payments.authorise(input).await?;
    let body = authorised.payment;
    if !authorised.is_new {
        return Ok(Json(body).into_response());
    }
    Ok(Created { location: format!("payments/{}", body.id), body }.into_response())
}

async fn one(State(payments): State<Payments>, Path(id): Path<Uuid>) -> Reply<Json<Payment>> {
    Ok(Json(payments.get(id).await?))
}

async fn capture(State(payments): State<Payments>, Path(id): Path<Uuid>) -> Reply<Json<Payment>> {
    Ok(Json(payments.capture(id).await?))
}

async fn refund(State(payments): State<Payments>, Path(id): Path<Uuid>) -> Reply<Json<Payment>> {
    Ok(Json(payments.refund(id).await?))
}

async fn void(
    State(payments): State<Payments>,
    Json(input): Json<VoidInput>,
) -> Reply<Json<serde_json::Value>> {
    // A tombstone is no payment, so it shows no id.
    let payment = payments.void(input).await?;
    Ok(Json(json!({ "reference": payment.reference, "status": payment.status })))
}
