//! Strict reading of what clients send: every refusal names the place and says what is right.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::request::Parts;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use trellis_core::{Error, ServiceName, codes};
use trellis_net::refusal::{Refusal, pointer};
use trellis_net::{PeerAddr, body};
use utoipa::IntoParams;

use crate::error::Error as Refused;
use crate::handle::Handle;
use crate::versioned::{Address, Author, Format, Space};

/// The actor, until there is authentication.
const ACTOR: &str = "trellis-actor";
/// Why a change is made; the query's `reason` says the same.
const REASON: &str = "trellis-reason";
/// Room around a value in a JSON body.
const AROUND: u64 = 64 << 10;

/// Application and environment of the path.
pub(super) struct InSpace(pub(super) Space);

/// The key of the path.
pub(super) struct Key(pub(super) Address);

/// The path of an environment, as the document shows it.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "read by the derive only")]
pub(super) struct SpacePath {
    /// The application
    app: String,
    /// The environment
    env: String,
}

/// The path of a key, as the document shows it.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "read by the derive only")]
pub(super) struct KeyPath {
    /// The application
    app: String,
    /// The environment
    env: String,
    /// The key
    key: String,
}

/// The query, with no parameter that is not known.
pub(super) struct Query<T>(pub(super) T);

/// The client's address, unless a proxy has passed its request on.
pub(super) struct Peer(Option<IpAddr>);

/// What proxies add.
const PASSED_ON: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

pub(super) fn invalid(text: impl Into<String>) -> Refusal {
    Error::new(codes::INVALID_PARAMETER, text.into()).into()
}

fn name(text: &str) -> Result<ServiceName, Refusal> {
    text.parse().map_err(|error| invalid(format!("the path has {text:?}: {error}")))
}

impl<S: Send + Sync> FromRequestParts<S> for InSpace {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found: Result<Path<Vec<(String, String)>>, _> = Path::from_request_parts(parts, state).await;
        let Path(params) = found.map_err(|refused| invalid(refused.body_text()))?;
        let param = |name: &str| {
            params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        Ok(Self(Space { app: name(param("app"))?, env: name(param("env"))? }))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let InSpace(space) = InSpace::from_request_parts(parts, state).await?;
        let found: Result<Path<Vec<(String, String)>>, _> = Path::from_request_parts(parts, state).await;
        let Path(params) = found.map_err(|refused| invalid(refused.body_text()))?;
        let path = params.iter().find(|(key, _)| key == "key").map(|(_, value)| value.as_str());
        let key = space.key(path.unwrap_or_default()).map_err(|error| invalid(error.to_string()))?;
        Ok(Self(key))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let is_direct = PASSED_ON.iter().all(|name| !parts.headers.contains_key(*name));
        let peer = parts.extensions.get::<PeerAddr>().filter(|_| is_direct);
        Ok(Self(peer.map(|PeerAddr(address)| address.ip())))
    }
}

impl Peer {
    /// Whether secrets are shown, if it asks for them.
    pub(super) fn may_reveal(&self, handle: &Handle, asked: bool) -> Result<bool, Refusal> {
        Ok(handle.may_reveal(asked, self.0)?)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|refused: axum::extract::rejection::QueryRejection| invalid(refused.body_text()))
    }
}

/// Who makes a change, as far as is known, and why.
pub(super) fn author(headers: &HeaderMap, reason: Option<String>) -> Author {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Author {
        actor: text(ACTOR).unwrap_or_else(|| "anonymous".into()),
        reason: reason.or_else(|| text(REASON)).unwrap_or_default(),
    }
}

/// The version that a change expects: `If-Match: "3"`, or `cas=3`.
pub(super) fn expected(headers: &HeaderMap, cas: Option<u64>) -> Result<Option<u64>, Refusal> {
    let Some(header) = headers.get(IF_MATCH) else { return Ok(cas) };
    let text = header.to_str().unwrap_or_default().trim().trim_matches('"');
    let version = text.parse().map_err(|_| invalid("If-Match is not a version, such as \"3\""))?;
    match cas {
        Some(other) if other != version => Err(invalid("If-Match and cas name different versions")),
        _ => Ok(Some(version)),
    }
}

/// A value as the body, its format as the media type.
pub(super) async fn value(headers: &HeaderMap, sent: Body, limit: usize) -> Result<(Format, Bytes), Refusal> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(format) = Format::of_media_type(media) else {
        let text = format!(
            "the value is {media:?}; send it as application/json, application/toml, application/yaml or text/plain"
        );
        return Err(Error::new(codes::UNSUPPORTED_MEDIA_TYPE, text).into());
    };
    Ok((format, body::collect(sent, bytes(limit)).await?))
}

/// A JSON body.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    sent: Body,
    limit: usize,
) -> Result<T, Refusal> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if Format::of_media_type(media) != Some(Format::Json) {
        let text = format!("the body is {media:?}; send JSON with Content-Type: application/json");
        return Err(Error::new(codes::UNSUPPORTED_MEDIA_TYPE, text).into());
    }
    let bytes = body::collect(sent, bytes(limit).saturating_add(AROUND)).await?;
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let read = serde_path_to_error::deserialize(&mut json);
    let value = read.map_err(|error| refuse(&pointer(error.path()), error.inner()))?;
    json.end().map_err(|error| refuse("", &error))?;
    Ok(value)
}

fn bytes(limit: usize) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// Says where, and not what was there: that may be a secret.
fn refuse(pointer: &str, error: &serde_json::Error) -> Error {
    if error.is_data() {
        return Refused::invalid(pointer, format!("{pointer:?} does not have the form that is asked for"))
            .into();
    }
    let (line, column) = (error.line(), error.column());
    Error::new(codes::MALFORMED_JSON, format!("the body is not JSON: line {line} column {column}"))
}
