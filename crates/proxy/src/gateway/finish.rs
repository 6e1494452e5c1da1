//! What is done to an answer on its way out, whoever gave it.

use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderValue, Response};
use http_body::Body as _;

use super::body::Content;
use super::limits::Standing;
use crate::edge::compress::{Accepts, Compressed};
use crate::edge::headers::only;
use crate::table::Route;

/// What has to be remembered of a request for it. Nothing is, unless the route asks for it.
#[derive(Debug, Default)]
pub(super) struct Finish {
    /// The script's origin.
    origin: Option<HeaderValue>,
    accepts: Accepts,
    pub(super) standing: Option<Standing>,
    /// Nothing is left to do: it is the answer to a preflight.
    pub(super) is_whole: bool,
}

impl Finish {
    /// Reads what `route` needs later.
    pub(super) fn read(&mut self, route: &Route, head: &Parts) {
        if route.cors.is_some() {
            self.origin = only(&head.headers, &ORIGIN).cloned();
        }
        if route.compression.is_some() {
            self.accepts = Accepts::read(&head.method, &head.headers);
        }
    }

    /// Makes an answer what the route wants. `is_problem`: the gateway says why there is no other, which a route's
    /// headers are not meant for; a `cache-control` that is right for an answer is wrong for its lack.
    pub(super) fn apply(&self, route: &Route, response: &mut Response<Content>, is_problem: bool) {
        if self.is_whole {
            return;
        }
        if let Some(edits) = route.response_headers.as_ref().filter(|_| !is_problem) {
            edits.apply(response.headers_mut());
        }
        if let Some(standing) = self.standing {
            standing.tell(response.headers_mut());
        }
        if let Some(cors) = &route.cors {
            cors.decorate(self.origin.as_ref(), response.headers_mut());
        }
        if let Some(compression) = &route.compression
            && !matches!(response.body(), Content::Switched(_))
        {
            let (mut head, content) = std::mem::take(response).into_parts();
            let encoder = compression.prepare(self.accepts, &mut head, &content.size_hint());
            let content = match encoder {
                Some(encoder) => Content::Compressed(Box::pin(Compressed::new(content, encoder))),
                None => content,
            };
            *response = Response::from_parts(head, content);
        }
    }
}
