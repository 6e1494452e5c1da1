//! `/v1/mesh`: what proxies of the mesh ask the control plane.

use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::HeaderMap;
use serde::Deserialize;
use tracing::debug;
use trellis_core::{Error, HumanDuration, InstanceId, ServiceName, codes};
use utoipa::IntoParams;

use super::answer;
use crate::mesh::{Asker, Control};

/// How long a request with a revision waits if it does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// The paths of the mesh's part of the admin API.
pub(crate) fn router(control: Control) -> Router {
    Router::new()
        .route("/v1/mesh/config", get(config))
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(control)
}

/// Who asks, and how long it waits.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ConfigQuery {
    /// The service that the proxy stands for.
    #[param(value_type = String, example = "orders")]
    service: ServiceName,
    /// The instance that it stands beside, if the platform runs that.
    #[param(value_type = Option<String>, example = "orders-1")]
    instance: Option<InstanceId>,
    /// The revision that is known already. Absent: answer at once.
    revision: Option<u64>,
    /// Longest wait for another revision, such as 30s, which is the default.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<HumanDuration>,
}

/// What a proxy of the mesh is to do, at once or as soon as it changes.
///
/// Send the revision of the last answer: the next comes when there is another, or when the wait is over, and then it may
/// be the same. Compare revisions for equality only. Where instances are is watched at `/v1/services/{name}/endpoints`.
#[utoipa::path(
    get, path = "/v1/mesh/config", tag = "mesh", operation_id = "mesh_config", params(ConfigQuery),
    responses(
        (status = 200, description = "A snapshot", body = Object),
        (status = 400, description = "A parameter is missing or not valid"),
        (status = 503, description = "Too many proxies wait already"),
    ),
)]
pub(super) async fn config(
    State(control): State<Control>,
    headers: HeaderMap,
    query: Result<Query<ConfigQuery>, QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => {
            let error = Error::new(codes::INVALID_PARAMETER, rejection.body_text());
            return answer::refuse(&headers, &error);
        }
    };
    let ConfigQuery { service, instance, revision, wait } = query;
    debug!(%service, instance = instance.as_ref().map(InstanceId::as_str), revision, "a proxy asks what to do");
    let asker = Asker { service, instance };
    let found = match revision {
        None => Ok(control.config(&asker)),
        Some(known) => control.config_after(&asker, known, wait.map_or(DEFAULT_WAIT, Duration::from)).await,
    };
    match found {
        Ok(config) => axum::Json(config).into_response(),
        Err(error) => answer::refuse(&headers, &error),
    }
}
