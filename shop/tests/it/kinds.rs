//! The ways in which the shop runs, and short words for talking to it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http::Method;
use serde_json::Value;
use trellis_sdk::core::Phase;
use trellis_testkit::{Answer, Call, Platform, PlatformOptions, Postgres};

/// Long enough for anything on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A running shop.
pub(crate) struct Shop {
    platform: Platform,
    _server: Option<Arc<Postgres>>,
}

impl Shop {
    /// Starts it with a file for each process.
    pub(crate) async fn on_sqlite(phase: Phase) -> Result<Self> {
        Self::with(PlatformOptions::shop().phase(phase)).await
    }

    /// Starts it on one database of a server, made for it.
    pub(crate) async fn on_postgres(phase: Phase) -> Result<Self> {
        let server = Postgres::shared()?;
        let options = PlatformOptions::shop().phase(phase).database(&server.fresh_database()?);
        Ok(Self { _server: Some(server), ..Self::with(options).await? })
    }

    /// Starts it as told.
    pub(crate) async fn with(options: PlatformOptions) -> Result<Self> {
        Ok(Self { platform: Platform::start(options).await?, _server: None })
    }

    pub(crate) fn platform(&mut self) -> &mut Platform {
        &mut self.platform
    }

    pub(crate) fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// The JSON at a path, which must be there.
    pub(crate) async fn fetch(&self, path: &str) -> Result<Value> {
        self.get(path).send().await?.expect(200)?.json()
    }

    /// What an operator says of all of a service's instances.
    pub(crate) async fn set_override(&self, service: &str, status: &str) -> Result<()> {
        let url = format!("{}/v1/services/{service}/override", self.admin());
        let body = serde_json::json!({ "status": status });
        let answer = self.http().call(Method::PUT, url).json(&body).send().await?;
        anyhow::ensure!(answer.status < 300, "{}", answer.text());
        Ok(())
    }
}

impl Deref for Shop {
    type Target = Platform;

    fn deref(&self) -> &Platform {
        &self.platform
    }
}

/// The problem in an answer that must be one: status, code and whether `Retry-After` is as it says.
pub(crate) fn problem(answer: &Answer, status: u16, code: &str) -> Result<Value> {
    anyhow::ensure!(answer.status == status, "wanted {status}, got {}: {}", answer.status, answer.text());
    let kind = answer.header("content-type").context("no Content-Type")?;
    anyhow::ensure!(kind == "application/problem+json", "{kind}: {}", answer.text());
    let problem: Value = answer.json()?;
    anyhow::ensure!(problem["code"] == code && problem["status"] == status, "wanted {code}: {problem}");
    anyhow::ensure!(problem["request_id"].is_string(), "no request id: {problem}");
    let waits = answer.header("retry-after").is_some();
    anyhow::ensure!(waits == problem["retry_after_ms"].is_u64(), "Retry-After and {problem} differ");
    Ok(problem)
}

/// The path that a relative reference (`Location`, `Link`) in the answer to `path` means.
pub(crate) fn resolve(path: &str, reference: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    match reference {
        query if query.starts_with('?') => format!("{path}{query}"),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        beside => format!("{}/{beside}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
    }
}

/// The path of the next page, if there is one.
pub(crate) fn next_page(path: &str, answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("rel=\"next\"").then(|| resolve(path, target))
}

/// Makes five tests of each function, one for each way in which the shop runs.
macro_rules! in_every_kind {
    ($($test:ident),+ $(,)?) => {
        in_every_kind!(@kind microservices_on_sqlite, on_sqlite, Microservices, $($test),+);
        in_every_kind!(@kind microservices_on_postgres, on_postgres, Microservices, $($test),+);
        in_every_kind!(@kind service_mesh_on_sqlite, on_sqlite, ServiceMesh, $($test),+);
        in_every_kind!(@kind monolith_on_sqlite, on_sqlite, Monolith, $($test),+);
        in_every_kind!(@kind monolith_on_postgres, on_postgres, Monolith, $($test),+);
    };
    (@kind $kind:ident, $start:ident, $phase:ident, $($test:ident),+) => {
        mod $kind {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() -> anyhow::Result<()> {
                let shop = crate::kinds::Shop::$start(trellis_sdk::core::Phase::$phase).await?;
                super::$test(shop).await
            })+
        }
    };
}

pub(crate) use in_every_kind;
