//! A program of the test's own that says something line by line.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;
use tokio::sync::mpsc;

use crate::kept::{self, Kept};

const LINE_WITHIN: Duration = Duration::from_mins(1);
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// The program waits if so many lines were not read.
const LINES: usize = 1000;

/// A running program; dropping it kills it.
pub struct Program {
    process: Kept,
    lines: mpsc::Receiver<String>,
}

impl Program {
    /// Starts it. Its errors are shown among the test's own.
    pub fn start(program: &Path, args: &[&OsStr]) -> anyhow::Result<Self> {
        Self::with(program, args, Stdio::inherit())
    }

    pub(crate) fn with(program: &Path, args: &[&OsStr], stderr: Stdio) -> anyhow::Result<Self> {
        let mut command = kept::command(&program.into(), Some(Signal::KILL), None)?;
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let (process, stdout) = Kept::spawn(command).with_context(|| program.display().to_string())?;
        let stdout = stdout.context("no standard output")?;
        let (sender, lines) = mpsc::channel(LINES);
        std::thread::Builder::new().name("program-stdout".to_owned()).spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            // Ends with the program, or when nobody listens any more.
            for line in lines {
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { process, lines })
    }

    /// The next line.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        match tokio::time::timeout(LINE_WITHIN, self.lines.recv()).await {
            Ok(line) => line.context("the program has ended"),
            Err(_) => anyhow::bail!("the program said nothing within {LINE_WITHIN:?}"),
        }
    }

    /// The next line, however long it takes; `None` once the program has ended.
    pub async fn next_line(&mut self) -> Option<String> {
        self.lines.recv().await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait(STOP_WITHIN);
    }
}
