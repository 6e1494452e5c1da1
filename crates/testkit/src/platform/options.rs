//! How a platform is started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml_edit::Value;
use trellis_core::Phase;

/// What to start, and with which settings.
#[derive(Debug, Clone)]
pub struct PlatformOptions {
    pub(super) manifest: PathBuf,
    pub(super) phase: Phase,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) settings: Vec<(String, Value)>,
    pub(super) ready_within: Duration,
}

impl PlatformOptions {
    /// The application of this manifest, as microservices, with a data directory that goes with the platform.
    pub fn new(manifest: impl Into<PathBuf>) -> Self {
        Self {
            manifest: manifest.into(),
            phase: Phase::Microservices,
            data_dir: None,
            env: BTreeMap::new(),
            settings: Vec::new(),
            ready_within: Duration::from_mins(1),
        }
    }

    /// The reference application.
    pub fn shop() -> Self {
        Self::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shop/trellis.toml"))
    }

    /// How the modules are run.
    #[must_use]
    pub fn phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// A data directory that stays.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// The database of all modules that do not name their own.
    #[must_use]
    pub fn database(self, url: &str) -> Self {
        self.set("defaults.database", url)
    }

    /// A variable in the environment of the platform and its modules, which otherwise is nearly empty.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A setting of the manifest, such as `set("module.orders.replicas", 2)`. The platform is given a changed copy.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.settings.push((key.to_owned(), value.into()));
        self
    }

    /// How long it may take until everything is ready; a minute unless said otherwise.
    #[must_use]
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }
}
