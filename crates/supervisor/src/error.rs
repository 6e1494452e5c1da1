//! Why a supervisor cannot be made or cannot go on.

use std::io;
use std::path::PathBuf;

use trellis_core::{Code, InstanceId, ServiceName, codes};

/// Why a supervisor cannot be made or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two specs have one id.
    #[error("two processes are called {0}: give each its own id")]
    DuplicateId(InstanceId),
    /// The command is empty.
    #[error("{0} has no command: say which program runs it")]
    NoCommand(InstanceId),
    /// The program is not there or may not be run.
    #[error("{id} cannot be run: {}", .source.detail())]
    Command {
        /// Which process.
        id: InstanceId,
        /// Why, and where it was looked for.
        source: trellis_core::Error,
    },
    /// The working directory is not one.
    #[error("{id} cannot run in {}: it is not a directory; create it or name another", .directory.display())]
    Directory {
        /// Which process.
        id: InstanceId,
        /// Its working directory.
        directory: PathBuf,
    },
    /// The health path cannot stand in a request.
    #[error(
        "the health path {path:?} of {id} is not valid: it starts with '/' and has no spaces, such as \"/health\""
    )]
    HealthPath {
        /// Which process.
        id: InstanceId,
        /// Its health path.
        path: String,
    },
    /// A needed service is provided by nobody.
    #[error("{id} needs {need}, which no process provides: correct the name or add the module")]
    UnknownNeed {
        /// Which process.
        id: InstanceId,
        /// What it needs.
        need: ServiceName,
    },
    /// It comes after a process that is not there.
    #[error("{id} comes after {after}, which is no process: correct the id or add the process")]
    UnknownProcess {
        /// Which process.
        id: InstanceId,
        /// What it comes after.
        after: InstanceId,
    },
    /// Processes wait for each other.
    #[error("these need each other, so none can start first: {}; remove one of the needs", circle(.0))]
    Cycle(Vec<InstanceId>),
    /// No socket or port could be had.
    #[error("no socket on 127.0.0.1 for {id}: {source}")]
    Socket {
        /// For which process.
        id: InstanceId,
        /// Why.
        source: io::Error,
    },
    /// The program that starts children or guards them cannot be run.
    #[error("the {role} of child processes cannot be run: {source}")]
    Helper {
        /// `launcher` or `guardian`.
        role: &'static str,
        /// Why.
        source: io::Error,
    },
}

fn circle(ids: &[InstanceId]) -> String {
    let mut names: Vec<_> = ids.iter().map(InstanceId::as_str).collect();
    names.extend(names.first().copied());
    names.join(" -> ")
}

impl Error {
    fn code(&self) -> Code {
        match self {
            Self::DuplicateId(_) | Self::HealthPath { .. } | Self::UnknownNeed { .. } | Self::Cycle(_) => {
                codes::INVALID_MANIFEST
            }
            Self::NoCommand(_) | Self::Command { .. } | Self::Directory { .. } => codes::COMMAND_NOT_FOUND,
            Self::Socket { .. } => codes::CANNOT_LISTEN,
            Self::UnknownProcess { .. } | Self::Helper { .. } => codes::INTERNAL,
        }
    }
}

impl From<Error> for trellis_core::Error {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.to_string()).because(error)
    }
}
