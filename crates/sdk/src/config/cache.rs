//! The last values in a file, for a start without the platform.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use super::source::Values;

/// What was kept, if it can be read.
pub(super) fn read(file: &Path) -> Option<Values> {
    let text = std::fs::read(file).ok()?;
    serde_json::from_slice(&text).map_err(|error| warn!(%error, "the kept configuration cannot be read")).ok()
}

/// Keeps the values, but no secrets. Whole or not at all; a failure is only told.
pub(super) async fn write(file: PathBuf, values: Arc<Values>) {
    let mut open = (*values).clone();
    open.items.retain(|_, value| !value.secret);
    let done = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        let beside = file.with_extension("new");
        let mut new = std::fs::File::create(&beside)?;
        new.write_all(&serde_json::to_vec(&open)?)?;
        new.sync_all()?;
        std::fs::rename(&beside, &file)
    });
    match done.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the configuration cannot be kept in its file"),
        Err(error) => warn!(%error, "the configuration was not kept in its file"),
    }
}
