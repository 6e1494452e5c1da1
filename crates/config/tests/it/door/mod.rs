//! The native HTTP door.

mod inputs;
mod reveal;
mod routes;
mod watch;

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
use trellis_config::Handle;
use trellis_net::PeerAddr;
use trellis_net::refusal::Written;

use crate::support::Node;

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) etag: Option<String>,
    pub(super) media_type: String,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The code of a problem document; empty if it is none.
    pub(super) fn code(&self) -> String {
        if self.media_type != "application/problem+json" {
            return String::new();
        }
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A program on this machine that speaks to the door.
#[derive(Clone)]
pub(super) struct Client {
    router: Written<Router>,
    handle: Handle,
    peer: SocketAddr,
}

impl Client {
    pub(super) fn of(node: &Node) -> Self {
        let handle = node.handle.clone();
        let router = Written(trellis_config::router(handle.clone()));
        Self { router, handle, peer: "127.0.0.1:5000".parse().unwrap() }
    }

    pub(super) fn at(&self, peer: &str) -> Self {
        Self { peer: peer.parse().unwrap(), ..self.clone() }
    }

    /// Sends one request; headers are `name: value`. The path is below `/v1/config/shop/dev` unless it begins so itself.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: Body,
    ) -> Response<Body> {
        let root = if path.starts_with("/v1/") { "" } else { "/v1/config/shop/dev" };
        let mut request = Request::builder().method(method).uri(format!("{root}{path}"));
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(PeerAddr(self.peer));
        let at_once = trellis_config::at_once(&self.handle, &request);
        let answer = self.router.clone().oneshot(request).await.unwrap();
        match at_once {
            Some(at_once) => the_same(at_once, answer).await,
            None => answer,
        }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let response = self.send(method, path, headers, Body::from(body.to_owned())).await;
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, etag) = (response.status(), header("etag"));
        let media_type = header("content-type").unwrap_or_default();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, etag, media_type, text: String::from_utf8(text.to_vec()).unwrap() }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(super) async fn json(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(method, path, &[JSON], body).await
    }
}

/// Whatever is answered at once is what the router says.
async fn the_same(at_once: Response<Body>, answer: Response<Body>) -> Response<Body> {
    let (first, body) = at_once.into_parts();
    let at_once = body.collect().await.unwrap().to_bytes();
    let (mut head, body) = answer.into_parts();
    let answer = body.collect().await.unwrap().to_bytes();
    // The router writes it, for others the connection does.
    head.headers.remove(CONTENT_LENGTH);
    assert_eq!((first.status, &first.headers, &at_once), (head.status, &head.headers, &answer));
    Response::from_parts(head, answer.into())
}

pub(super) const JSON: &str = "content-type: application/json";
