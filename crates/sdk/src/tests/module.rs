//! A module with every kind of answer.

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use trellis_core::{Error, codes};

use crate::context;
use crate::http::{Json, Path, Query, Reply};
use crate::{Module, Parts};

#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Seen {
    pub(super) trace_id: String,
    pub(super) request_id: String,
    pub(super) left_ms: Option<u64>,
    pub(super) module: String,
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Number {
    pub(super) n: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    limit: Option<u32>,
}

pub(super) fn echo() -> Module {
    Module::new("echo", &[], async |_| {
        let router = Router::new()
            .route("/seen", get(seen))
            .route("/double", post(double))
            .route("/things/{id}", get(thing))
            .route("/list", get(list))
            .route("/slow", get(async || std::future::pending::<()>().await))
            .route("/panic", get(panics))
            .route("/busy", get(busy));
        Ok(Parts::new(router))
    })
}

/// A module that passes a call on to `echo`.
pub(super) fn relay() -> Module {
    Module::new("relay", &[], async |context| {
        let echo = context.mesh.service("echo");
        let handler = async move || -> Reply<Json<Seen>> { Ok(Json(echo.get("/seen").fetch().await?)) };
        Ok(Parts::new(Router::new().route("/relay", get(handler))))
    })
}

async fn seen() -> Json<Seen> {
    let current = context::current().unwrap();
    let left = current.deadline.map(|d| d.saturating_duration_since(tokio::time::Instant::now()));
    Json(Seen {
        trace_id: format!("{:032x}", current.trace.trace_id),
        request_id: current.request_id.to_string(),
        left_ms: left.map(|l| l.as_millis() as u64),
        module: current.module.to_string(),
    })
}

async fn double(Json(Number { n }): Json<Number>) -> Json<Number> {
    Json(Number { n: n * 2 })
}

async fn thing(Path(id): Path<u32>) -> Reply<Json<Number>> {
    if id == 1 {
        Ok(Json(Number { n: 1 }))
    } else {
        Err(Error::new(codes::NOT_FOUND, "no such thing").into())
    }
}

async fn list(Query(filter): Query<Filter>) -> Json<Number> {
    Json(Number { n: filter.limit.unwrap_or(50).into() })
}

async fn panics() {
    panic!("on purpose")
}

async fn busy() -> Reply<()> {
    let error = Error::new(codes::DEPENDENCY_UNAVAILABLE, "later");
    Err(error.retry(trellis_core::Retry::After(Duration::from_secs(7))).into())
}
