//! What the platform's own doors count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

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
    /// A request has come.
    pub(crate) fn begin(&self) -> UnderWay {
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.0))
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

/// A request that is under way for as long as this lives: also a client that goes away without waiting is not any more.
pub(crate) struct UnderWay(Arc<Counts>);

impl UnderWay {
    /// It has been answered so.
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100);
        if let Some(answered) = class.checked_sub(1).and_then(|place| self.0.answered.get(place)) {
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;
    use crate::admin::Gate;

    #[tokio::test]
    async fn answers_are_counted_by_class_and_waits_while_they_last() {
        let counts = DoorCounts::default();
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/wait", get(|| async { std::future::pending::<StatusCode>().await }));
        let gate = Gate::new(router, counts.clone());
        let request =
            |path: &str| Request::builder().uri(path).header("host", "localhost").body(Body::empty());
        let ask = |path: &str| gate.clone().oneshot(request(path).unwrap());
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
