//! Health: named checks, run together, bounded in time, remembered for a moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde::Serialize;
use tokio::time::{Instant, timeout};

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// How checks are run.
#[derive(Debug, Clone, Copy)]
pub struct HealthOptions {
    /// Longest time for one check; over it, it has failed.
    pub timeout: Duration,
    /// How long a report is given again without running the checks.
    pub cache: Duration,
}

/// The checks of one process. Clones share them.
#[derive(Clone)]
pub struct HealthChecks(Arc<Inner>);

struct Inner {
    options: HealthOptions,
    checks: Mutex<BTreeMap<String, Check>>,
    /// Held while the checks run, so that many questions at once run them once.
    last: tokio::sync::Mutex<Option<(Instant, HealthReport)>>,
}

/// What each check said: `OK`, or `FAILED: ` and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct HealthReport(pub BTreeMap<String, String>);

const OK: &str = "OK";

impl HealthChecks {
    /// No checks yet: healthy.
    pub fn new(options: HealthOptions) -> Self {
        Self(Arc::new(Inner { options, checks: Mutex::default(), last: tokio::sync::Mutex::default() }))
    }

    /// Adds a check, or replaces the one of that name. Its error is shown to whoever asks for the health: no secrets.
    pub fn add(
        &self,
        name: &str,
        check: impl Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) {
        let mut checks = self.0.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.insert(name.to_owned(), Arc::new(check));
    }

    /// Runs all checks at the same time, or gives the last report if it is fresh.
    pub async fn report(&self) -> HealthReport {
        let Inner { options, checks, last } = &*self.0;
        let mut last = last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < options.cache
        {
            return report.clone();
        }
        let checks = checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let results = join_all(checks.into_iter().map(async |(name, check)| {
            let verdict = match timeout(options.timeout, check()).await {
                Ok(Ok(())) => OK.to_owned(),
                Ok(Err(why)) => format!("FAILED: {why}"),
                Err(_) => format!("FAILED: no answer within {:?}", options.timeout),
            };
            (name, verdict)
        }));
        let report = HealthReport(results.await.into_iter().collect());
        *last = Some((Instant::now(), report.clone()));
        report
    }
}

impl HealthReport {
    /// Whether every check is OK.
    pub fn is_healthy(&self) -> bool {
        self.0.values().all(|v| v == OK)
    }
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(2), cache: Duration::from_secs(1) }
    }
}

impl Default for HealthChecks {
    fn default() -> Self {
        Self::new(HealthOptions::default())
    }
}

impl std::fmt::Debug for HealthChecks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HealthChecks").field("options", &self.0.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_check_speaks_for_itself() {
        let health = HealthChecks::default();
        health.add("database", || Box::pin(async { Ok(()) }));
        health.add("cache", || Box::pin(async { Err("connection refused".into()) }));
        health.add("queue", || Box::pin(std::future::pending()));
        let report = health.report().await;
        assert!(!report.is_healthy());
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            serde_json::json!({
                "cache": "FAILED: connection refused",
                "database": "OK",
                "queue": "FAILED: no answer within 2s",
            })
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_fresh_report_is_given_again() {
        let runs = Arc::new(AtomicU32::new(0));
        let health = HealthChecks::default();
        let counter = runs.clone();
        health.add("counted", move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(()) })
        });
        let (a, b) = tokio::join!(health.report(), health.report());
        assert!(a.is_healthy() && a == b);
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        health.report().await;
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }
}
