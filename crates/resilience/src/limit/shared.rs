//! The half of a rate limit shared through Redis that needs no Redis: the script, what it is told and what it says.

use std::time::Duration;

use super::rate::Rule;
use super::{Limited, Quota, Remaining};

/// The script counts in microseconds, like Redis's clock. It keeps its numbers exact in a double for centuries.
const MICROSECOND: u64 = 1000;

/// A [`TokenBucket`](super::TokenBucket) that lives in Redis, so that many gateways count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedRateLimit {
    rule: Rule,
}

/// Redis said what the script never says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rate limit script answered in a form it does not have")]
pub struct BadReply;

impl SharedRateLimit {
    /// Runs with one key, that of the bucket, and with [`arguments`](Self::arguments). The time is that of Redis, so that
    /// gateways need not agree on theirs. A full bucket is no key at all: keys go when their buckets are full.
    pub const SCRIPT: &'static str = "\
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local missing = full_at + interval - now
if missing > window then
  return {0, 0, missing - window, full_at - now}
end
redis.call('SET', KEYS[1], string.format('%.0f', now + missing), 'PX', math.ceil(missing / 1000))
return {1, math.floor((window - missing) / interval), 0, missing}
";

    /// A limit of so many requests for each key.
    pub fn new(quota: Quota) -> Self {
        Self { rule: Rule::new(quota, MICROSECOND) }
    }

    /// What the script is run with after its key: microseconds to earn one request, and to fill the bucket.
    pub fn arguments(&self) -> [u64; 2] {
        [self.rule.interval, self.rule.window]
    }

    /// Reads the array of integers that the script returns: whether the request passes, how many more may, microseconds
    /// until the next one may and until all may.
    pub fn reply(&self, reply: &[i64]) -> Result<Result<Remaining, Limited>, BadReply> {
        let &[passes @ 0..=1, remaining, retry_after, reset] = reply else {
            return Err(BadReply);
        };
        let limit = self.rule.limit;
        let reset = self.duration(reset)?;
        if passes == 0 {
            return Ok(Err(Limited { retry_after: self.duration(retry_after)?, limit, reset }));
        }
        let remaining = u32::try_from(remaining).map_err(|_| BadReply)?;
        Ok(Ok(Remaining { limit, remaining, reset }))
    }

    fn duration(&self, micros: i64) -> Result<Duration, BadReply> {
        u64::try_from(micros).map(|micros| self.rule.duration(micros)).map_err(|_| BadReply)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;
    use crate::limit::TokenBucket;

    /// The script, line by line, in doubles like Lua's.
    fn script(stored: &mut Option<f64>, now: f64, [interval, window]: [u64; 2]) -> [i64; 4] {
        let (interval, window) = (interval as f64, window as f64);
        let full_at = stored.unwrap_or(now).max(now);
        let missing = full_at + interval - now;
        if missing > window {
            return [0.0, 0.0, missing - window, full_at - now].map(|n| n as i64);
        }
        *stored = Some(now + missing);
        [1.0, ((window - missing) / interval).floor(), 0.0, missing].map(|n| n as i64)
    }

    #[test]
    fn only_its_own_form_is_read() {
        let limit = SharedRateLimit::new(Quota::per(5, Duration::from_secs(1)));
        assert_eq!(limit.arguments(), [200_000, 1_000_000]);
        let reset = Duration::from_millis(200);
        assert_eq!(limit.reply(&[1, 4, 0, 200_000]), Ok(Ok(Remaining { limit: 5, remaining: 4, reset })));
        for bad in [&[][..], &[1, 4, 0], &[2, 4, 0, 0], &[1, -4, 0, 0], &[0, 0, -1, 0], &[1, 1 << 40, 0, 0]] {
            assert_eq!(limit.reply(bad), Err(BadReply), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_bucket_in_memory(
            interval in 1_u64..5_000_000, burst in 1_u32..30, steps in prop::collection::vec(0_u64..3_000_000, 1..100),
        ) {
            let quota = Quota { requests: 1, per: Duration::from_micros(interval), burst };
            let (shared, local) = (SharedRateLimit::new(quota), TokenBucket::new(quota));
            let start = Instant::now();
            let (mut stored, mut micros) = (None, 0);
            for step in steps {
                micros += step;
                // A date of this century, as Redis has it.
                let reply = script(&mut stored, 1.8e15 + micros as f64, shared.arguments());
                let expected = local.check(start + Duration::from_micros(micros));
                prop_assert_eq!(shared.reply(&reply), Ok(expected));
            }
        }
    }
}
