//! Access control: tokens are accepted and mean nothing, and everything that manages them says so as Consul does.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, put};
use trellis_core::codes;

use crate::door::Door;
use crate::refusal::Refusal;

pub(crate) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/acl/{*rest}", any(disabled))
        .route("/v1/agent/token/{kind}", put(disabled))
        .route("/v1/internal/acl/authorize", any(disabled))
}

async fn disabled() -> Refusal {
    Refusal {
        status: StatusCode::UNAUTHORIZED,
        code: codes::CONSUL_UNSUPPORTED,
        text: "ACL support disabled".into(),
    }
}
