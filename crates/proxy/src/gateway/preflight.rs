//! Browsers that ask for permission before they send what another origin's script wants.

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::request::Parts;
use http::{Method, Response};

use super::body::Content;
use super::incoming::Incoming;
use super::worker::Snapshot;
use crate::edge::headers::only;
use crate::table::Lookup;

/// The answer, with the index of the route that gives it: the one for the method that is asked about. `None` if the
/// request is no such question, or if it is the service that has to know.
pub(super) fn preflight(
    live: &Snapshot,
    incoming: &Incoming,
    head: &mut Parts,
) -> Option<(usize, Response<Content>)> {
    if head.method != Method::OPTIONS || !head.headers.contains_key(ORIGIN) {
        return None;
    }
    let asked = only(&head.headers, &ACCESS_CONTROL_REQUEST_METHOD)?;
    let asked = Method::from_bytes(asked.as_bytes()).ok()?;
    let own = std::mem::replace(&mut head.method, asked);
    let route = match live.table.lookup(&incoming.view(head)) {
        Lookup::Route { route, .. } => Some(route),
        Lookup::WrongMethod(_) | Lookup::Nothing => None,
    };
    head.method = own;
    let route = route?;
    let permission = route.cors.as_ref()?.preflight(head)?;
    Some((route.index, permission.map(|()| Content::default())))
}
