//! One value that changes while one looks at it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::warn;
use trellis_core::error::Result;
use trellis_core::{Error, codes};

use super::source::{Known, Values};

/// A typed value that follows the configuration. What is not a `T` is told in the log, and the last good one stays.
pub struct Live<T> {
    key: String,
    values: watch::Receiver<Arc<Values>>,
    default: Option<Arc<T>>,
    last: Mutex<Last<T>>,
}

struct Last<T> {
    raw: Option<Known>,
    read: Arc<T>,
}

impl<T: DeserializeOwned> Live<T> {
    pub(super) fn new(
        key: &str,
        mut values: watch::Receiver<Arc<Values>>,
        default: Option<Arc<T>>,
    ) -> Result<Self> {
        let raw = values.borrow_and_update().items.get(key).cloned();
        let read = match (&raw, &default) {
            (Some(raw), _) => Arc::new(raw.read().map_err(|error| {
                let text = format!("the configuration {key} is not what this program expects");
                Error::new(codes::INVALID_INPUT, text).because(error)
            })?),
            (None, Some(default)) => default.clone(),
            (None, None) => {
                let text = format!("there is no configuration {key}");
                return Err(Error::new(codes::NOT_FOUND, text));
            }
        };
        Ok(Self { key: key.to_owned(), values, default, last: Mutex::new(Last { raw, read }) })
    }

    /// The value now: read from memory, and made a `T` once for each change.
    pub fn get(&self) -> Arc<T> {
        self.look().0
    }

    /// Waits until the value is another one, and gives it. Never ends once the configuration is followed no longer.
    pub async fn changed(&mut self) -> Arc<T> {
        loop {
            if let (value, true) = self.look() {
                return value;
            }
            if self.values.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The value, and whether it is another one than at the last look.
    fn look(&self) -> (Arc<T>, bool) {
        let raw = self.values.borrow().items.get(&self.key).cloned();
        let mut last = self.last();
        if raw == last.raw {
            return (last.read.clone(), false);
        }
        let read = match (&raw, &self.default) {
            (Some(raw), _) => raw.read().map(Arc::new).map_err(Some),
            (None, Some(default)) => Ok(default.clone()),
            // It was deleted, and there is nothing to put in its place.
            (None, None) => Err(None),
        };
        last.raw = raw;
        match read {
            Ok(read) => {
                last.read = read;
                (last.read.clone(), true)
            }
            Err(why) => {
                let why = why.unwrap_or_else(|| "it was deleted".into());
                warn!(key = %self.key, why, "a new value cannot be used; the last one stays");
                (last.read.clone(), false)
            }
        }
    }

    fn last(&self) -> MutexGuard<'_, Last<T>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the value, which may be a secret.
        f.debug_struct("Live").field("key", &self.key).finish_non_exhaustive()
    }
}
