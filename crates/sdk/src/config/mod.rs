//! Live configuration: typed values that follow the platform's, and go on with the last ones when it is away.

mod cache;
mod live;
mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::watch;
use trellis_core::error::Result;
use trellis_core::{Error, ServiceName, codes};
use trellis_runtime::Shutdown;

pub use live::Live;

use crate::HttpClient;
use source::{Source, Values};

/// Where configuration comes from, and as whom it is read.
#[derive(Debug, Clone)]
pub struct ConfigOptions {
    /// The admin API of the platform, such as `http://127.0.0.1:7700`.
    pub admin: String,
    /// The application.
    pub app: ServiceName,
    /// The environment, such as `dev`.
    pub env: ServiceName,
    /// Only keys that begin so; an empty text for all.
    pub prefix: String,
    /// The id of this instance, which decides on candidates by share.
    pub instance: String,
    /// Its labels, which decide on candidates by label.
    pub labels: BTreeMap<String, String>,
    /// Ask for secrets. The platform shows them to programs on its own machine, if its operator allows it with
    /// `[config] allow_reveal`; otherwise it refuses every answer. Without it there are none among the values.
    pub secrets: bool,
    /// How long the first answer is waited for.
    pub patience: Duration,
    /// Start with the cache, or without any value, if no answer comes in that time; else starting fails.
    pub start_without: bool,
    /// A file that keeps the last values, secrets left out, for a start without the platform.
    pub cache: Option<PathBuf>,
}

/// The configuration of an application in an environment, followed until all clones and values are gone.
#[derive(Debug, Clone)]
pub struct Config {
    values: watch::Receiver<Arc<Values>>,
}

impl ConfigOptions {
    /// All of an application's keys in an environment, with five seconds of patience.
    pub fn new(
        admin: impl Into<String>,
        app: ServiceName,
        env: ServiceName,
        instance: impl Into<String>,
    ) -> Self {
        Self {
            admin: admin.into(),
            app,
            env,
            prefix: String::new(),
            instance: instance.into(),
            labels: BTreeMap::new(),
            secrets: false,
            patience: Duration::from_secs(5),
            start_without: false,
            cache: None,
        }
    }
}

impl Config {
    /// Reads the values, and follows them from then on, until `shutdown`.
    pub async fn connect(options: ConfigOptions, shutdown: Shutdown) -> Result<Self> {
        let client = HttpClient::new(&options.admin)?;
        let mut source = Source::new(client, &options);
        let first = tokio::time::timeout(options.patience, source.first()).await;
        if first.is_err() {
            let kept = options.cache.as_deref().and_then(cache::read);
            match (kept, options.start_without) {
                (Some(values), true) => source.begin_with(values),
                (None, true) => {}
                (_, false) => {
                    let text = "the platform did not give the configuration in time";
                    return Err(Error::new(codes::DEPENDENCY_UNAVAILABLE, text));
                }
            }
        }
        let (sender, values) = watch::channel(source.values());
        tokio::spawn(source.follow(sender, shutdown));
        Ok(Self { values })
    }

    /// The value of a key, live. An error if there is none now, or it is not a `T`.
    pub fn value<T: DeserializeOwned>(&self, key: &str) -> Result<Live<T>> {
        Live::new(key, self.values.clone(), None)
    }

    /// The value of a key, live; the default as long as there is none. An error if what is there is not a `T`.
    pub fn value_or<T: DeserializeOwned>(&self, key: &str, default: T) -> Result<Live<T>> {
        Live::new(key, self.values.clone(), Some(Arc::new(default)))
    }
}
