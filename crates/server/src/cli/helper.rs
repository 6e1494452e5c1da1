//! Processes that `trellis up` starts for itself. They are no commands for people, and come before the command line is
//! read: they are started often and should cost little.

use std::ffi::OsString;
use std::process::ExitCode;

use trellis_core::{Error, codes};

use super::output;
use crate::up::Role;

/// Plays a role to its end.
pub(super) fn play(role: Role, args: impl Iterator<Item = OsString>) -> ExitCode {
    let ended = match role {
        Role::Launcher => {
            Err(Error::new(codes::COMMAND_NOT_FOUND, trellis_supervisor::launch::run(args).to_string()))
        }
        Role::Guardian => trellis_supervisor::guardian::run().map_err(|error| {
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
