//! Bodies, within the limit.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use trellis_core::codes;
use trellis_net::body;

use super::Object;
use crate::door::Door;
use crate::refusal::{Refusal, Reply};

/// A whole body.
pub(crate) struct Whole(pub(crate) Bytes);

impl FromRequest<Door> for Whole {
    type Rejection = Refusal;

    async fn from_request(request: Request, door: &Door) -> Result<Self, Refusal> {
        let limit = door.options.max_body;
        match body::collect(request.into_body(), limit).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) if error.code() == codes::BODY_TOO_LARGE => Err(Refusal::too_large(limit)),
            Err(error) => Err(error.into()),
        }
    }
}

/// A body that is a JSON object; an empty one is an empty object. Consul does not look at the content type.
pub(crate) fn read(bytes: &Bytes) -> Reply<Object> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Object::default());
    }
    let value = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::bad(format!("Request decode failed: {error}")))?;
    Object::new("the body", value)
}
