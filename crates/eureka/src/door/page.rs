//! What people see.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use quick_xml::escape::escape;
use serde_json::json;
use trellis_core::{Error, codes};
use trellis_registry::{Handle, Topic};

use super::Door;
use super::refusal::Reply;
use crate::list;
use crate::names;
use crate::read::Format;

/// Most instances that the page names; there are tools for more.
const MOST: usize = 1_000;

/// A page with all apps.
pub(super) async fn home(State(door): State<Door>) -> Reply<Response> {
    let page = made(door, "eureka page".into(), page).await?;
    let kind = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, "default-src 'none'")];
    Ok((kind, page).into_response())
}

/// The same in figures.
pub(super) async fn status(State(door): State<Door>, headers: HeaderMap) -> Reply<Response> {
    let format = Format::of_answer(&headers);
    let make = move |registry: &Handle, datacenter: &str| figures(registry, datacenter, format);
    let body = made(door, format!("eureka status {format:?}"), make).await?;
    Ok(([(CONTENT_TYPE, format.media())], body).into_response())
}

/// Makes something of the whole registry once for all who ask, not on a thread that others need.
async fn made(
    door: Door,
    variant: String,
    make: impl FnOnce(&Handle, &str) -> Bytes + Send + 'static,
) -> Result<Bytes, Error> {
    let work = move || {
        let make = |registry: &Handle| make(registry, &door.options.datacenter);
        door.registry.cached(&Topic::All, &variant, make).body.clone()
    };
    let failed = |error| Error::new(codes::INTERNAL, "the page could not be made").because(error);
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

fn figures(registry: &Handle, datacenter: &str, format: Format) -> Bytes {
    let services = list::services(registry);
    let code = list::hash_code(&services);
    let (apps, instances, code) = (services.len(), code.instances(), code.to_string());
    let body = match format {
        Format::Json => json!({
            "status": "UP", "datacenter": datacenter, "apps": apps, "instances": instances, "apps__hashcode": code,
        })
        .to_string(),
        Format::Xml => format!(
            "<status><status>UP</status><datacenter>{}</datacenter><apps>{apps}</apps>\
             <instances>{instances}</instances><apps__hashcode>{code}</apps__hashcode></status>",
            escape(datacenter)
        ),
    };
    body.into()
}

fn page(registry: &Handle, datacenter: &str) -> Bytes {
    let services = list::services(registry);
    let count: usize = services.iter().map(|service| service.entries.len()).sum();
    let (datacenter, own) = (escape(datacenter), registry.own_node());
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Trellis: Eureka</title>\
         <h1>Eureka</h1><p>Data center {datacenter}: {} apps, {count} instances.</p>\
         <table><tr><th>App<th>Instance<th>Address<th>Status</tr>",
        services.len()
    );
    for entry in services.iter().flat_map(|service| &service.entries).take(MOST) {
        let instance = &entry.instance;
        let (app, id) = (names::app(&instance.definition.service), names::shown(instance, own));
        let (host, port, status) = (escape(entry.host()), instance.definition.port, instance.status);
        // Writing into a string does not fail.
        let _ = write!(out, "<tr><td>{app}<td>{}<td>{host}:{port}<td>{status}</tr>", escape(id.as_str()));
    }
    out.push_str("</table>");
    if count > MOST {
        let _ = write!(out, "<p>And {} more: <code>GET /eureka/apps</code> has them all.</p>", count - MOST);
    }
    out.into()
}
