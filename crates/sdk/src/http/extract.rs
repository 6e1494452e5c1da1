//! Extractors with strict answers to bad input.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use trellis_core::{Error, codes};
use trellis_net::body;

use super::Failure;

/// A JSON body. In: 415 unless it is declared as JSON, 400 if it is not JSON, 413 if it is too large (2 MiB unless a
/// `DefaultBodyLimit` says otherwise), 422 if it has another form. Out: a JSON response.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// Path parameters; 404 if one does not have the right form, since no such thing can exist.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

/// Query parameters; 400 if one is unknown or not valid.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// TRL2002 with one entry for each mistake: where it is (a JSON pointer, RFC 6901) and what is expected.
pub fn invalid(mistakes: Vec<(String, String)>) -> Error {
    let detail = match mistakes.as_slice() {
        [(pointer, detail)] => format!("{}: {detail}", if pointer.is_empty() { "body" } else { pointer }),
        several => format!("{} mistakes", several.len()),
    };
    let errors: Vec<_> = mistakes
        .into_iter()
        .map(|(pointer, detail)| json!({ "pointer": pointer, "detail": detail }))
        .collect();
    Error::new(codes::INVALID_INPUT, detail).with("errors", errors)
}

/// The library's text ends with the position, which is all a client needs beyond the code.
fn said(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), said)
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(JsonRejection::JsonDataError(error)) => {
                Err(invalid(vec![(String::new(), said(&error))]).into())
            }
            Err(JsonRejection::JsonSyntaxError(error)) => {
                Err(Error::new(codes::MALFORMED_JSON, said(&error)).into())
            }
            Err(JsonRejection::MissingJsonContentType(_)) => {
                let what = "send the body as JSON, with Content-Type: application/json";
                Err(Error::new(codes::UNSUPPORTED_MEDIA_TYPE, what).into())
            }
            Err(rejection)
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE || body::is_over_limit(&rejection) =>
            {
                Err(Error::new(codes::BODY_TOO_LARGE, "the body is larger than this service takes").into())
            }
            Err(rejection) => {
                Err(Error::new(codes::BAD_REQUEST, "the body broke off").because(rejection).into())
            }
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                Err(Error::new(codes::NOT_FOUND, "nothing can be found under this path")
                    .because(error)
                    .into())
            }
            Err(rejection) => {
                Err(Error::new(codes::INTERNAL, "a route has no such parameter").because(rejection).into())
            }
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                Err(Error::new(codes::INVALID_PARAMETER, said(&error)).into())
            }
            Err(rejection) => Err(Error::new(codes::INVALID_PARAMETER, rejection.to_string()).into()),
        }
    }
}
