//! The paths of the door.

mod announce;
mod operate;
mod page;
mod query;
mod refusal;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, any, get, post, put};
use trellis_registry::Handle;

use crate::options::Options;

/// What every path has.
#[derive(Clone)]
pub(crate) struct Door {
    registry: Handle,
    options: Arc<Options>,
}

/// Where the operations are: as Netflix's clients have it, and as Spring's.
const PREFIXES: [&str; 2] = ["/eureka/v2", "/eureka"];

/// The registry as Eureka's clients know it.
pub fn router(options: Options, registry: Handle) -> Router {
    let door = Door { registry, options: Arc::new(options) };
    let mut router = Router::new().route("/", get(page::home));
    for prefix in PREFIXES {
        router = router.route(prefix, get(page::home)).route(&format!("{prefix}/"), get(page::home));
        for (path, methods) in operations() {
            // With a slash at the end, too: some clients put one there.
            for end in ["", "/"] {
                router = router.route(&format!("{prefix}{path}{end}"), methods.clone());
            }
        }
        for path in ["/peerreplication/{*rest}", "/asg/{*rest}"] {
            router = router.route(&format!("{prefix}{path}"), any(refusal::not_offered));
        }
    }
    router
        .method_not_allowed_fallback(refusal::method_not_allowed)
        .fallback(refusal::no_such_path)
        .with_state(door)
}

fn operations() -> Vec<(&'static str, MethodRouter<Door>)> {
    vec![
        ("/apps", get(query::all)),
        ("/apps/delta", get(query::delta)),
        ("/apps/{app}", get(query::app).merge(post(announce::register))),
        ("/apps/{app}/{id}", get(query::instance).merge(put(announce::renew)).delete(announce::deregister)),
        ("/apps/{app}/{id}/status", put(operate::set_status).delete(operate::clear_status)),
        ("/apps/{app}/{id}/metadata", put(operate::set_metadata)),
        ("/instances/{id}", get(query::instance_anywhere)),
        ("/vips/{name}", get(query::virtual_host)),
        ("/svips/{name}", get(query::secure_virtual_host)),
        ("/status", get(page::status)),
        ("/lastn", any(refusal::not_offered)),
    ]
}
