//! `trellis gateway` alone.

use std::ffi::OsStr;
use std::process::Stdio;

use anyhow::Context;
use serde::Deserialize;

use crate::program::Program;
use crate::programs;
use crate::scratch::Scratch;

/// A running gateway with routes and clusters of the test's own.
pub struct Gateway {
    url: String,
    _program: Program,
    // Removed last.
    _scratch: Scratch,
}

/// The line that it prints when it is ready.
#[derive(Deserialize)]
struct Ready {
    gateway: String,
}

impl Gateway {
    /// Starts it on a free port.
    pub async fn start(manifest: &str) -> anyhow::Result<Self> {
        let scratch = Scratch::new("gateway", None)?;
        let file = scratch.path().join("gateway.toml");
        std::fs::write(&file, manifest).context("the manifest cannot be written")?;
        let words = ["--json", "--gateway-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let mut args = vec![OsStr::new("gateway"), OsStr::new("-c"), file.as_os_str()];
        args.extend(words.map(OsStr::new));
        let mut program = Program::with(&programs::trellis()?, &args, Stdio::null())?;
        let line =
            program.line().await.with_context(|| format!("the gateway does not start with\n{manifest}"))?;
        let ready: Ready = serde_json::from_str(&line).with_context(|| line.clone())?;
        Ok(Self { url: ready.gateway, _program: program, _scratch: scratch })
    }

    /// URL for clients.
    pub fn url(&self) -> &str {
        &self.url
    }
}
