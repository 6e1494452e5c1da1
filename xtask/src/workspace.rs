//! Where things are in this checkout.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command;

/// The checkout and what cargo says about it.
pub(crate) struct Workspace {
    /// The folder with the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds, whatever chose it (`CARGO_TARGET_DIR`, a configuration file, the default).
    pub(crate) target: PathBuf,
}

/// How something is built; see the workspace's `Cargo.toml`.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Profile {
    /// Optimised.
    Release,
    /// Optimised as a whole, as it is handed out.
    Dist,
}

#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

impl Profile {
    /// What cargo calls it, and its folder.
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().context("xtask has no parent folder")?.to_owned();
        let mut ask = command::cargo();
        ask.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&root);
        let output = ask.output().context("cannot run `cargo metadata`")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).context("`cargo metadata` answered something else")?;
        Ok(Self { root, target: metadata.target_directory })
    }

    /// A program built with `profile`.
    pub(crate) fn program(&self, profile: Profile, program: &str) -> PathBuf {
        self.target.join(profile.name()).join(program)
    }

    /// A program built with the dev profile.
    pub(crate) fn debug(&self, program: &str) -> PathBuf {
        self.target.join("debug").join(program)
    }

    /// The reference application's manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join("shop/trellis.toml")
    }

    /// `cargo build` of these packages with `profile`, with cargo's own progress.
    pub(crate) fn build(&self, profile: Profile, packages: &[&str]) -> Result<()> {
        let mut build = command::cargo();
        build.args(["build", "--profile", profile.name()]).current_dir(&self.root);
        for package in packages {
            build.args(["-p", package]);
        }
        command::run(&mut build)
    }
}
