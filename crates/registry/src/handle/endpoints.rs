//! Waiting for another set of endpoints.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use trellis_core::{EndpointSet, ServiceName};
use trellis_net::Index;

use super::Handle;
use crate::broadcast::{News, Told};
use crate::error::Result;
use crate::model::names::ServiceKey;
use crate::model::topic::Topic;

impl Handle {
    /// The endpoints of a service now as a JSON document, which is made once for all who ask, within
    /// [`Options::max_cached_bytes`](crate::Options::max_cached_bytes).
    pub(crate) fn endpoints_json(&self, service: &ServiceName) -> Bytes {
        let key = ServiceKey::of(service);
        let set = self.shared.make(|state| state.endpoints(&key));
        let revision = set.revision;
        let make = || Told::new(set, 0).json();
        // Nothing is kept for names that anybody can make up.
        if revision == 0 {
            return make();
        }
        let (topic, most) = (Topic::Service(key), self.shared.options.max_cached_bytes);
        self.counted(self.shared.cache.get(&topic, "endpoints", Index::Exactly(revision), most, make))
            .body
            .clone()
    }

    /// The endpoints of a service as soon as their revision is another than `known`, or when `wait` has passed. A wait
    /// is at most [`Options::max_wait`](crate::Options::max_wait), and up to a sixteenth shorter than asked, so that
    /// those who asked together do not come back together.
    pub async fn endpoints_after(
        &self,
        service: &ServiceName,
        known: u64,
        wait: Duration,
    ) -> Result<Arc<EndpointSet>> {
        Ok(self.told_after(service, known, wait, 0).await?.set.clone())
    }

    /// [`Self::endpoints_after`] in forms that are made once for all who wait. Those of one `group` are woken together.
    pub(crate) async fn told_after(
        &self,
        service: &ServiceName,
        known: u64,
        wait: Duration,
        group: u64,
    ) -> Result<Arc<Told>> {
        let current = self.endpoints(service);
        if current.revision != known || wait.is_zero() {
            return Ok(Arc::new(Told::new(current, 0)));
        }
        // Refused when the registry stops: those who wait already get what there is, but whoever comes back with that
        // would do nothing but ask.
        let broadcast = self.shared.broadcast(service)?;
        let _place = self.place()?;
        let mut follower = broadcast.follow(Some(known), group);
        tokio::select! {
            news = poll_fn(|cx| follower.poll_news(cx, Arc::clone)) => if let Some(News { told, .. }) = news {
                return Ok(told);
            },
            () = sleep(shorten(wait.min(self.shared.options.max_wait), fastrand::f64())) => {}
        }
        Ok(broadcast.last())
    }
}

/// Takes off up to a sixteenth; `random` is between 0 and 1.
fn shorten(wait: Duration, random: f64) -> Duration {
    wait.mul_f64(1.0 - random.clamp(0.0, 1.0) / 16.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_little_shorter_and_never_longer() {
        let wait = Duration::from_secs(16);
        assert_eq!(shorten(wait, 0.0), wait);
        assert_eq!(shorten(wait, 1.0), Duration::from_secs(15));
        assert_eq!(shorten(Duration::ZERO, 1.0), Duration::ZERO);
    }
}
