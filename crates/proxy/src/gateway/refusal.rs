//! Why a request is not carried, as the client and as the log get to know it.

use http::header::ALLOW;
use http::{HeaderValue, Response, Version};
use trellis_core::error::{Blame, chain};
use trellis_core::{Error, codes};
use trellis_net::problem;

use super::body::Content;
use super::forward::close;
use super::incoming::Incoming;
use crate::edge::{grpc, websocket};
use crate::table::MethodSet;

/// An error, and what some must say besides.
pub(super) struct Refusal {
    pub(super) error: Error,
    besides: Besides,
}

enum Besides {
    Nothing,
    /// What a 405 must say.
    Allow(MethodSet),
    /// What a WebSocket handshake should have been.
    Handshake(websocket::Refusal),
}

impl Refusal {
    /// 405, with the methods that are taken.
    pub(super) fn method(error: Error, allowed: MethodSet) -> Self {
        Self { error, besides: Besides::Allow(allowed) }
    }

    /// The problem document.
    pub(super) fn document(&self, incoming: &Incoming, version: Version) -> Response<Content> {
        let Self { error, besides } = self;
        let mut response = problem::document(error, incoming.request_id.to_str().ok());
        match besides {
            Besides::Nothing => {}
            Besides::Allow(allowed) => {
                if let Ok(allowed) = HeaderValue::try_from(allowed.to_string()) {
                    response.headers_mut().insert(ALLOW, allowed);
                }
            }
            Besides::Handshake(refusal) => refusal.decorate(response.headers_mut()),
        }
        // What follows on the connection may be the rest of this request.
        let ends = [codes::BODY_TOO_LARGE, codes::BAD_REQUEST, codes::CLIENT_TIMEOUT];
        if ends.iter().any(|code| code.id == error.code().id) {
            close(&mut response, version);
        }
        response.map(Content::Own)
    }

    /// The same for a client of gRPC, which looks for the outcome elsewhere.
    pub(super) fn trailers(&self) -> Response<Content> {
        grpc::trailers_only(&self.error).map(Content::Own)
    }

    /// The private cause, for whoever runs the platform. What a client did wrong is in the access log already.
    pub(super) fn report(&self, incoming: &Incoming) {
        let (error, request_id) = (&self.error, incoming.request_id.to_str().unwrap_or_default());
        if error.code().blame == Blame::Client || std::error::Error::source(error).is_none() {
            tracing::debug!(request_id, error = chain(error), "request refused");
        } else {
            tracing::warn!(request_id, error = chain(error), "request failed");
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, besides: Besides::Nothing }
    }
}

impl From<websocket::Refusal> for Refusal {
    fn from(refusal: websocket::Refusal) -> Self {
        let code = trellis_core::Code { status: refusal.status().as_u16(), ..codes::BAD_REQUEST };
        Self { error: Error::new(code, refusal.to_string()), besides: Besides::Handshake(refusal) }
    }
}
