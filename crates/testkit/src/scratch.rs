//! Temporary folders that are removed even when the test process is killed.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use tempfile::TempDir;

/// Waits until the test process has ended, whatever ended it, and removes the folder; a server that still writes into
/// it is just about to stop.
const CLEANER: &str = r#"read -r line; n=0; while [ -e "$1" ] && [ $n -lt 100 ]; do rm -rf "$1" && break; sleep 0.1; n=$((n + 1)); done"#;

/// A temporary folder.
pub(crate) struct Scratch {
    folder: Option<TempDir>,
    cleaner: Child,
}

impl Scratch {
    /// Makes one, owned by this account if one is given.
    pub(crate) fn new(kind: &str, owner: Option<(u32, u32)>) -> anyhow::Result<Self> {
        let prefix = format!("trellis-{kind}-");
        let folder =
            tempfile::Builder::new().prefix(&prefix).tempdir().context("no temporary folder can be made")?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group))
                .context("cannot give a folder away")?;
        }
        let mut command = Command::new("sh");
        command.args(["-c", CLEANER, "cleaner"]).arg(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C is for the test process; this one acts after it.
        let cleaner = command.process_group(0).spawn().context("sh cannot be run")?;
        Ok(Self { folder: Some(folder), cleaner })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.folder.take());
        drop(self.cleaner.stdin.take());
        // It finds nothing left to do.
        let _ = self.cleaner.wait();
    }
}
