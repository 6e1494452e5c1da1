//! Answers with headers of their own.

use axum::response::{IntoResponse, Response};
use http::header::{LINK, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::Json;

/// 201 with `Location`.
#[derive(Debug, Clone)]
pub struct Created<T> {
    /// Path of the new thing.
    pub location: String,
    /// The new thing.
    pub body: T,
}

/// A list as a JSON array; where it goes on is in `Link` (RFC 8288), so that the body stays a plain array.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Relative URL of the next page, if there is one. A URL that begins with `?` keeps the path, whatever a gateway
    /// made of it.
    pub next: Option<String>,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Json(self.body)).into_response();
        if let Ok(location) = HeaderValue::from_str(&self.location) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.items).into_response();
        if let Some(link) =
            self.next.and_then(|url| HeaderValue::from_str(&format!("<{url}>; rel=\"next\"")).ok())
        {
            response.headers_mut().insert(LINK, link);
        }
        response
    }
}
