//! Starts the real programs, from the folder that the tests were built into, and measures them for a short time.

mod changes;
mod chaos;
mod measure;
mod proxy;
mod registry;

use anyhow::Result;
use tempfile::TempDir;

use trellis_bench::platform::Programs;

/// The programs beside this test. A missing one fails the test and says how to build it.
fn programs() -> Result<Programs> {
    Programs::beside(&std::env::current_exe()?)
}

/// Where a run keeps its data and the platform's log. Stays when the test fails; closed when it passes.
fn folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("trellis-it-").disable_cleanup(true).tempdir()?)
}
