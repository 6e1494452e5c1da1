//! Following what the control plane says.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, header};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use trellis_core::error::chain;
use trellis_core::{Error, codes};
use trellis_net::{Body, Pool, body};

use crate::mesh::{Asker, Config};

/// How long the control plane may hold a question open.
const WAIT: Duration = Duration::from_secs(30);
/// Added to it before we stop waiting for the answer.
const SLACK: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Largest snapshot: ten thousand clusters fit.
const MAX_ANSWER_BYTES: u64 = 16 << 20;

/// Asks the control plane again and again. While it does not answer, the last snapshot stays in force.
#[derive(Debug)]
pub(super) struct Follower {
    pool: Arc<Pool>,
    asker: Asker,
    /// The revision that was answered last. None: ask for all of it, whatever it is called.
    known: Option<u64>,
    pause: Duration,
}

impl Follower {
    /// Asks the admin API at `authority` (`host:port`).
    pub(super) fn new(authority: &str, asker: Asker) -> Self {
        let pool = Pool::new(authority.into(), Arc::default());
        Self { pool, asker, known: None, pause: FIRST_PAUSE }
    }

    /// The first snapshot, whenever it comes.
    pub(super) async fn first(&mut self) -> Config {
        let mut told = false;
        loop {
            match self.next().await {
                Ok(config) => return config,
                Err(error) if told => drop(error),
                Err(error) => {
                    warn!(error = chain(&error), "waiting for the control plane");
                    told = true;
                }
            }
            self.rest().await;
        }
    }

    /// Gives every further snapshot to `apply`, for ever. One that is refused changes nothing.
    pub(super) async fn follow(&mut self, apply: impl Fn(&Config) -> Result<(), Error>) {
        loop {
            let before = self.known;
            match self.next().await {
                Ok(config) if Some(config.revision) != before => match apply(&config) {
                    Ok(()) => info!(revision = config.revision, "the configuration has changed"),
                    Err(error) => {
                        let what = "a configuration that cannot be used is passed over";
                        warn!(revision = config.revision, error = chain(&error), what);
                    }
                },
                Ok(_) => {}
                Err(error) => {
                    if before.is_some() {
                        warn!(
                            error = chain(&error),
                            "the control plane does not answer; going on with what is known"
                        );
                    }
                    self.rest().await;
                }
            }
        }
    }

    async fn rest(&mut self) {
        let pause = self.pause;
        sleep(pause / 2 + pause.mul_f64(fastrand::f64() / 2.0)).await;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
    }

    /// The next answer. After a failure the whole is asked for: the control plane may be another one.
    async fn next(&mut self) -> Result<Config, Error> {
        let known = self.known.take();
        let late = || silent("no answer came in time");
        let config = timeout(WAIT + SLACK, self.ask(known)).await.map_err(|_| late())??;
        (self.known, self.pause) = (Some(config.revision), FIRST_PAUSE);
        Ok(config)
    }

    async fn ask(&self, known: Option<u64>) -> Result<Config, Error> {
        let Asker { service, instance } = &self.asker;
        let instance = instance.as_ref().map(|id| format!("&instance={}", encoded(id.as_str())));
        let wait = known.map(|revision| format!("&revision={revision}&wait={}s", WAIT.as_secs()));
        let (instance, wait) = (instance.unwrap_or_default(), wait.unwrap_or_default());
        let path = format!("/v1/mesh/config?service={service}{instance}{wait}");
        let request = Request::get(path).header(header::HOST, &**self.pool.authority()).body(Body::empty());
        let response = self.pool.ask(request.map_err(silent)?).await.map_err(silent)?;
        let status = response.status();
        let bytes = body::collect(response.into_body(), MAX_ANSWER_BYTES).await?;
        if !status.is_success() {
            return Err(silent(format!("status {status}")));
        }
        serde_json::from_slice(&bytes).map_err(silent)
    }
}

fn silent(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(codes::NO_PLATFORM, "the control plane's admin API does not answer").because(cause)
}

/// An id in a query.
fn encoded(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}
