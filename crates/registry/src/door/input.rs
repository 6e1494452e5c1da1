//! Strict reading of what clients send: every refusal names the place and says what is right.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::Deserializer;
use serde::de::{self, DeserializeOwned, Unexpected, Visitor};
use serde_json::error::Category;
use trellis_core::{Error, InstanceId, ServiceName, codes};
use trellis_net::refusal::{Refusal, pointer};
use trellis_net::{PeerAddr, body};

use super::MAX_BODY;
use crate::error::{Error as Refused, Fault};

/// The service in the path.
pub(super) struct Name(pub(super) ServiceName);

/// The instance in the path.
pub(super) struct Id(pub(super) InstanceId);

/// The query, with no parameter that is not known.
pub(super) struct Query<T>(pub(super) T);

/// A number that all requests of one connection have, and hardly any other.
pub(super) struct Asker(pub(super) u64);

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

async fn from_path<T: FromStr<Err: Display>, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<T, Refusal> {
    let invalid = |text: String| Refusal::from(Error::new(codes::INVALID_PARAMETER, text));
    let Path(text) = Path::<String>::from_request_parts(parts, state)
        .await
        .map_err(|refused| invalid(refused.body_text()))?;
    text.parse().map_err(|refused: T::Err| invalid(format!("the path has {text:?}: {refused}")))
}

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        from_path(parts, state).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        from_path(parts, state).await.map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        let invalid = |refused: axum::extract::rejection::QueryRejection| {
            Error::new(codes::INVALID_PARAMETER, refused.body_text())
        };
        query.map(|axum::extract::Query(value)| Self(value)).map_err(|refused| invalid(refused).into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<PeerAddr>();
        Ok(Self(peer.map_or(0, |PeerAddr(address)| {
            let mut hasher = DefaultHasher::new();
            address.hash(&mut hasher);
            hasher.finish()
        })))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let media =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_json(media) {
            let text = format!("the body is {media:?}; send JSON with Content-Type: application/json");
            return Err(Error::new(codes::UNSUPPORTED_MEDIA_TYPE, text).into());
        }
        let bytes = body::collect(request.into_body(), MAX_BODY).await?;
        Ok(Self(parse(&bytes)?))
    }
}

fn is_json(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // serde would take an array for an object, its items in the order of the fields.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(invalid("", "the body is a list, expected an object".into()));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value =
        serde_path_to_error::deserialize(&mut json).map_err(|e| refuse(&pointer(e.path()), e.inner()))?;
    json.end().map_err(|e| refuse("", &e))?;
    Ok(value)
}

fn refuse(pointer: &str, error: &serde_json::Error) -> Error {
    match error.classify() {
        Category::Data => invalid(pointer, error.to_string()),
        _ => Error::new(codes::MALFORMED_JSON, format!("the body is not JSON: {error}")),
    }
}

fn invalid(pointer: &str, detail: String) -> Error {
    Refused::Invalid(vec![Fault { pointer: pointer.into(), detail }]).into()
}

/// A number between `MIN` and 65535, with a refusal that says so.
pub(super) fn number<'de, const MIN: u16, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    struct Between<const MIN: u16>;

    impl<const MIN: u16> Visitor<'_> for Between<MIN> {
        type Value = u16;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a number from {MIN} to {}", u16::MAX)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<u16, E> {
            let fits = u16::try_from(number).ok().filter(|number| *number >= MIN);
            fits.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
        }
    }

    deserializer.deserialize_u64(Between::<MIN>)
}
