//! What the platform's own doors count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

/// The doors that count, as far as they are open.
#[derive(Clone, Default)]
pub struct Doors {
    /// The admin API.
    pub(crate) admin: DoorCounts,
    /// Consul's HTTP API.
    pub(crate) consul: Option<DoorCounts>,
    /// Eureka's REST operations.
    pub(crate) eureka: Option<DoorCounts>,
    /// DNS, which counts by itself.
    pub(crate) dns: Option<trellis_dns::Handle>,
}

/// The requests of one door. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct DoorCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By the first digit of the status, from 1 on.
    answered: [AtomicU64; CLASSES.len()],
    in_flight: AtomicU64,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Doors {
    /// Those that speak HTTP, by name.
    pub(crate) fn http(&self) -> Vec<(&'static str, &DoorCounts)> {
        let admin = [("admin", Some(&self.admin))];
        let others = [("consul", self.consul.as_ref()), ("eureka", self.eureka.as_ref())];
        admin.into_iter().chain(others).filter_map(|(name, counts)| Some((name, counts?))).collect()
    }
}

impl DoorCounts {
    /// Counts what goes through a router.
    pub(crate) fn count(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), count))
    }

    /// How many requests were answered, by class of status.
    pub(crate) fn by_class(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CLASSES.into_iter().zip(self.0.answered.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// How many requests have no answer yet.
    pub(crate) fn in_flight(&self) -> u64 {
        self.0.in_flight.load(Ordering::Relaxed)
    }
}

/// A request that is under way, for as long as this lives.
struct UnderWay<'c>(&'c Counts);

impl<'c> UnderWay<'c> {
    fn new(counts: &'c Counts) -> Self {
        counts.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(counts)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn count(State(DoorCounts(counts)): State<DoorCounts>, request: Request, next: Next) -> Response {
    // Also a client that goes away without waiting is not under way any more.
    let _under_way = UnderWay::new(&counts);
    let response = next.run(request).await;
    let class = usize::from(response.status().as_u16() / 100);
    if let Some(answered) = class.checked_sub(1).and_then(|place| counts.answered.get(place)) {
        answered.fetch_add(1, Ordering::Relaxed);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http::StatusCode;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn answers_are_counted_by_class_and_waits_while_they_last() {
        let counts = DoorCounts::default();
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/wait", get(|| async { std::future::pending::<StatusCode>().await }));
        let router = counts.count(router);
        let ask =
            |path: &str| router.clone().oneshot(Request::builder().uri(path).body(Body::empty()).unwrap());
        assert_eq!(ask("/").await.unwrap().status(), StatusCode::OK);
        assert_eq!(ask("/none").await.unwrap().status(), StatusCode::NOT_FOUND);
        let mut waits = Box::pin(ask("/wait"));
        assert!(futures_util::poll!(&mut waits).is_pending());
        assert_eq!(counts.in_flight(), 1);
        drop(waits);
        assert_eq!(counts.in_flight(), 0);
        let counted: Vec<_> = counts.by_class().map(|(_, count)| count).collect();
        assert_eq!(counted, [0, 1, 0, 1, 0]);
    }
}
