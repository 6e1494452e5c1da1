//! The door for users: HTTP to the service layer and back.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use trellis_sdk::http::{Created, Json, Page, Path, Query, Reply};

use super::model::{User, UserInput};
use super::service::Users;
use crate::paging::PageQuery;

pub(super) fn router(users: Users) -> Router {
    Router::new()
        .route("/users", get(list).post(create))
        .route("/users/{id}", get(one).put(replace).delete(delete))
        .with_state(users)
}

async fn list(State(users): State<Users>, Query(query): Query<PageQuery>) -> Reply<Page<User>> {
    Ok(users.list(&query.window()?).await?.into_page(""))
}

async fn create(State(users): State<Users>, Json(input): Json<UserInput>) -> Reply<Created<User>> {
    let user = users.create(input).await?;
    Ok(Created { location: format!("users/{}", user.id), body: user })
}

async fn one(State(users): State<Users>, Path(id): Path<i64>) -> Reply<Json<User>> {
    Ok(Json(users.get(id).await?))
}

async fn replace(
    State(users): State<Users>,
    Path(id): Path<i64>,
    Json(input): Json<UserInput>,
) -> Reply<Json<User>> {
    Ok(Json(users.replace(id, input).await?))
}

async fn delete(State(users): State<Users>, Path(id): Path<i64>) -> Reply<StatusCode> {
    users.delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
