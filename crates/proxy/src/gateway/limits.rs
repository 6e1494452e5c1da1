//! Requests over time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};
use sha1::{Digest, Sha1};
use trellis_core::error::Retry;
use trellis_core::{Error, codes};
use trellis_resilience::limit::{KeyedOptions, Limited, Remaining};
use trellis_resilience::{KeyedRateLimit, Quota, SharedRateLimit, TokenBucket};

use super::counter::{Counter, Redis, hex};
use super::worker::Worker;
use crate::table::{Key, Params, RateLimit, View};

/// Keys that one limit remembers, 16 bytes each.
const MAX_KEYS: usize = 1 << 16;

/// The hash of no key at all: one bucket for all requests without one.
const NO_KEY: u64 = 0;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// One `rate_limit` of a route, with what it has counted.
#[derive(Debug)]
pub(super) struct Limiter {
    key: Option<Key>,
    buckets: Buckets,
}

#[derive(Debug)]
enum Buckets {
    /// One for all.
    One(TokenBucket),
    Keyed(KeyedRateLimit),
    /// Elsewhere, for all gateways.
    Shared(Shared),
}

#[derive(Debug)]
struct Shared {
    limit: SharedRateLimit,
    counter: Arc<dyn Counter>,
    /// What the names of its buckets begin with, hashed: the route and the definition, so that equal limits of all
    /// gateways are the same one.
    name: Sha1,
}

/// Where gateways count together, by URL.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<HashMap<Box<str>, Arc<dyn Counter>>>);

/// How a request stands to the limit that is nearest to being reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    limit: u32,
    remaining: u32,
    /// In seconds.
    reset: u64,
}

impl Limiter {
    pub(super) fn new(path: &str, limit: &RateLimit, counters: &Counters) -> Self {
        let quota = Quota { requests: limit.requests, per: limit.per, burst: limit.burst };
        let buckets = match (&limit.shared, &limit.key) {
            (Some(url), key) => {
                let source = key.as_ref().map_or("", Key::source);
                let (requests, micros, burst) = (limit.requests, limit.per.as_micros(), limit.burst);
                let name =
                    Sha1::new().chain_update(format!("{path}\0{requests}/{micros}/{burst}\0{source}\0"));
                Buckets::Shared(Shared {
                    limit: SharedRateLimit::new(quota),
                    counter: counters.get(url),
                    name,
                })
            }
            (None, Some(_)) => {
                let options = KeyedOptions { quota, max_keys: MAX_KEYS };
                Buckets::Keyed(KeyedRateLimit::new(options, fastrand::u64(..)))
            }
            (None, None) => Buckets::One(TokenBucket::new(quota)),
        };
        Self { key: limit.key.clone(), buckets }
    }

    /// Takes one request from the bucket that it belongs to; nothing is known if those who count do not answer.
    async fn check(
        &self,
        view: &View<'_>,
        params: &Params<'_>,
        now: Instant,
    ) -> Option<Result<Remaining, Limited>> {
        let key = self.key.as_ref().and_then(|key| key.of(view, params));
        match (&self.buckets, key) {
            (Buckets::One(bucket), _) => Some(bucket.check(now)),
            (Buckets::Keyed(limit), Some(key)) => Some(limit.check(key.as_bytes(), now)),
            (Buckets::Keyed(limit), None) => Some(limit.check_hash(NO_KEY, now)),
            // Boxed: requests that ask nobody should not be larger for it.
            (Buckets::Shared(shared), key) => Box::pin(shared.check(key)).await,
        }
    }
}

impl Shared {
    async fn check(&self, key: Option<String>) -> Option<Result<Remaining, Limited>> {
        // Keys may be long, or secret.
        let some = [u8::from(key.is_some())];
        let hash = self.name.clone().chain_update(some).chain_update(key.unwrap_or_default()).finalize();
        let name = format!("trellis:limit:{}", hex(&hash));
        let reply = self.counter.count(name, self.limit.arguments()).await.ok()?;
        self.limit.reply(&reply).ok()
    }
}

/// Asks all limits of a route, which has some. What counts elsewhere and does not answer lets through.
pub(super) async fn admit(
    worker: &Worker,
    limits: &[Arc<Limiter>],
    view: &View<'_>,
    params: &Params<'_>,
    now: Instant,
    standing: &mut Option<Standing>,
) -> Result<(), Error> {
    for limiter in limits {
        match limiter.check(view, params, now).await {
            Some(Ok(remaining)) => {
                let next = Standing::of(remaining);
                if standing.is_none_or(|standing| next.remaining < standing.remaining) {
                    *standing = Some(next);
                }
            }
            Some(Err(limited)) => {
                worker.hits().rate_limit.hit(worker.index);
                *standing =
                    Some(Standing { limit: limited.limit, remaining: 0, reset: seconds(limited.reset) });
                let error = Error::new(
                    codes::RATE_LIMITED,
                    "more requests came than this route takes; try again later",
                );
                return Err(error.retry(Retry::After(limited.retry_after)));
            }
            None => worker.hits().uncounted.hit(worker.index),
        }
    }
    Ok(())
}

impl Standing {
    fn of(Remaining { limit, remaining, reset }: Remaining) -> Self {
        Self { limit, remaining, reset: seconds(reset) }
    }

    pub(super) fn tell(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(self.reset));
    }
}

impl Counters {
    fn get(&self, url: &str) -> Arc<dyn Counter> {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(counters.entry(url.into()).or_insert_with(|| Arc::new(Redis::new(url))))
    }

    /// Lets go of those that no limit names.
    pub(super) fn keep<'l>(&self, limits: impl Iterator<Item = &'l RateLimit>) {
        let named: Vec<&str> = limits.filter_map(|limit| limit.shared.as_deref()).collect();
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counters.retain(|url, _| named.contains(&&**url));
    }
}

/// Rounded up: whoever waits for so long is not too early.
fn seconds(time: std::time::Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
