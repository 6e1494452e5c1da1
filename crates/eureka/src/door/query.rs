//! What clients ask for.

use axum::extract::{Path, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use trellis_core::{Error, codes};
use trellis_registry::Entry;

use super::Door;
use super::refusal::{Refusal, Reply, unknown_instance};
use crate::list::View;
use crate::read::Format;
use crate::show::{Json, Shown, Xml};
use crate::{find, gzip, names, show};

pub(super) async fn all(State(door): State<Door>, headers: HeaderMap) -> Reply<Response> {
    list(door, View::All, &headers).await
}

pub(super) async fn delta(State(door): State<Door>, headers: HeaderMap) -> Reply<Response> {
    let window = door.options.delta_window;
    list(door, View::Delta(window), &headers).await
}

pub(super) async fn app(
    State(door): State<Door>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Reply<Response> {
    list(door, View::App(names::service(&app)?), &headers).await
}

pub(super) async fn virtual_host(
    State(door): State<Door>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Reply<Response> {
    list(door, View::VirtualHost { name: name.to_ascii_lowercase(), is_secure: false }, &headers).await
}

pub(super) async fn secure_virtual_host(
    State(door): State<Door>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Reply<Response> {
    list(door, View::VirtualHost { name: name.to_ascii_lowercase(), is_secure: true }, &headers).await
}

pub(super) async fn instance(
    State(door): State<Door>,
    Path((app, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Reply<Response> {
    let found = find::instance(&door.registry, &names::service(&app)?, &id);
    let entry = found.ok_or_else(|| unknown_instance(&app, &id))?;
    Ok(one(&door, &entry, &headers))
}

pub(super) async fn instance_anywhere(
    State(door): State<Door>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply<Response> {
    let found = find::anywhere(&door.registry, &id);
    let entry = found.ok_or_else(|| unknown_instance("any app", &id))?;
    Ok(one(&door, &entry, &headers))
}

fn one(door: &Door, entry: &Entry, headers: &HeaderMap) -> Response {
    let shown = Shown::entry(entry, door.registry.own_node());
    let format = Format::of_answer(headers);
    let body = match format {
        Format::Json => show::instance::<Json>(&shown),
        Format::Xml => show::instance::<Xml>(&shown),
    };
    document(format, body.into(), false)
}

/// A list may be long, and whoever asks while it is made waits for it: not on a thread that others need.
async fn list(door: Door, view: View, headers: &HeaderMap) -> Reply<Response> {
    let (format, is_gzip) = (Format::of_answer(headers), gzip::is_wanted(headers));
    let make = move || view.answer(&door.registry, format, is_gzip);
    let body = tokio::task::spawn_blocking(make).await.map_err(|error| {
        Refusal::from(Error::new(codes::INTERNAL, "the list could not be made").because(error))
    })?;
    if body.is_empty() {
        return Err(Error::new(codes::NOT_FOUND, "nothing of this name is registered").into());
    }
    Ok(document(format, body, is_gzip))
}

fn document(format: Format, body: bytes::Bytes, is_gzip: bool) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media()));
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
