//! The two roles that `trellis up` lets `trellis` play for its own child processes. They are no commands for people, and
//! come before the command line is read: they are started often and should cost little.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use trellis_core::{Error, codes};

use super::output;

/// What this process is to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Becomes a module's program.
    Launcher,
    /// Ends what a platform left behind.
    Guardian,
}

impl Role {
    /// The argument that asks for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Launcher => "launch",
            Self::Guardian => "guardian",
        }
    }

    pub(super) fn from_word(word: &OsStr) -> Option<Self> {
        [Self::Launcher, Self::Guardian].into_iter().find(|role| word == role.word())
    }

    /// Plays the role to its end.
    pub(super) fn play(self, args: impl Iterator<Item = OsString>) -> ExitCode {
        let ended = match self {
            Self::Launcher => {
                Err(Error::new(codes::COMMAND_NOT_FOUND, trellis_supervisor::launch::run(args).to_string()))
            }
            Self::Guardian => trellis_supervisor::guardian::run().map_err(|error| {
                Error::new(codes::INTERNAL, "a process that was left behind cannot be ended").because(error)
            }),
        };
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                output::report(&error, false);
                ExitCode::FAILURE
            }
        }
    }
}
