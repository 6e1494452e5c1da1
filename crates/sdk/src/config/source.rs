//! Asking the platform, again and again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};
use trellis_core::error::chain;
use trellis_runtime::Shutdown;

use super::{ConfigOptions, cache};
use crate::{CallError, HttpClient};

/// How long one question waits for a change.
const WAIT: Duration = Duration::from_secs(30);
/// How much longer its answer may take.
const MARGIN: Duration = Duration::from_secs(10);
/// Shortest and longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// All values as of one revision.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Values {
    pub(super) revision: u64,
    pub(super) items: BTreeMap<String, Known>,
}

/// One value as it came.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    content_type: String,
    value: serde_json::Value,
    #[serde(default)]
    pub(super) secret: bool,
}

#[derive(Deserialize)]
struct Update {
    revision: u64,
    resync: bool,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    key: String,
    content_type: Option<String>,
    value: Option<serde_json::Value>,
    #[serde(default)]
    secret: bool,
}

impl Known {
    /// As a `T`. The error names a place, and nothing of the value if that is a secret.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        let read = match (self.content_type.as_str(), &self.value) {
            ("application/toml", serde_json::Value::String(text)) => {
                toml::from_str(text).map_err(|error| error.message().to_owned())
            }
            (_, value) => T::deserialize(value).map_err(|error| error.to_string()),
        };
        read.map_err(|error| if self.secret { "it has another form".into() } else { error })
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// The platform's side of a configuration.
pub(super) struct Source {
    client: HttpClient,
    path: String,
    cache: Option<PathBuf>,
    secrets: bool,
    values: Arc<Values>,
}

impl Source {
    pub(super) fn new(client: HttpClient, options: &ConfigOptions) -> Self {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let labels: Vec<_> = options.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let path = format!(
            "/v1/config/{}/{}/watch?reveal={}&prefix={}&instance={}&labels={}",
            options.app,
            options.env,
            options.secrets,
            encode(&options.prefix),
            encode(&options.instance),
            encode(&labels.join(","))
        );
        Self { client, path, cache: options.cache.clone(), secrets: options.secrets, values: Arc::default() }
    }

    pub(super) fn values(&self) -> Arc<Values> {
        self.values.clone()
    }

    /// Goes on from what an earlier run kept. Its revision may be that of another store, so everything is asked for.
    pub(super) fn begin_with(&mut self, kept: Values) {
        self.values = Arc::new(Values { revision: 0, ..kept });
    }

    /// Asks until there is an answer.
    pub(super) async fn first(&mut self) {
        let mut pause = PAUSES.0;
        while let Err(error) = self.step().await {
            warn!(error = chain(&error), "the configuration cannot be read; trying again");
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Follows the platform until the shutdown, or until nobody looks any more.
    pub(super) async fn follow(mut self, sender: watch::Sender<Arc<Values>>, shutdown: Shutdown) {
        let mut pause = PAUSES.0;
        let mut lost = false;
        loop {
            let outcome = tokio::select! {
                () = shutdown.triggered() => return,
                () = sender.closed() => return,
                outcome = self.step() => outcome,
            };
            match outcome {
                Ok(changed) => {
                    if lost {
                        info!("the configuration is followed again");
                    }
                    (lost, pause) = (false, PAUSES.0);
                    if changed {
                        sender.send_replace(self.values());
                    }
                }
                Err(error) => {
                    if !lost {
                        warn!(
                            error = chain(&error),
                            "the configuration cannot be followed; the last values stay"
                        );
                    }
                    lost = true;
                    tokio::select! {
                        () = shutdown.triggered() => return,
                        () = sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)) => {}
                    }
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// One question: whether there was something new.
    async fn step(&mut self) -> Result<bool, CallError> {
        let path = format!("{}&revision={}&wait={}s", self.path, self.values.revision, WAIT.as_secs());
        let update: Update = self.client.get(&path).timeout(WAIT + MARGIN).fetch().await?;
        if update.items.is_empty() && !update.resync {
            // What the platform may have forgotten when it is asked again lies before this.
            if self.values.revision != update.revision {
                self.values = Arc::new(Values { revision: update.revision, ..(*self.values).clone() });
            }
            return Ok(false);
        }
        let mut items = if update.resync { BTreeMap::new() } else { self.values.items.clone() };
        for Item { key, content_type, value, secret } in update.items {
            match (content_type, value) {
                // Without a right to it there is a mask in its place.
                (Some(content_type), Some(value)) if self.secrets || !secret => {
                    items.insert(key, Known { content_type, value, secret });
                }
                _ => drop(items.remove(&key)),
            }
        }
        self.values = Arc::new(Values { revision: update.revision, items });
        if let Some(file) = self.cache.clone() {
            cache::write(file, self.values()).await;
        }
        Ok(true)
    }
}
