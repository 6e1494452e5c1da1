//! The Python interpreter, for modules that are not written in Rust.

use std::path::PathBuf;

use crate::programs;

/// Where `python3` is. The error says what to install.
pub fn python() -> anyhow::Result<PathBuf> {
    programs::find("python3", &[], "python3")
}
