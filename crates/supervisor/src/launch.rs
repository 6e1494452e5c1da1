//! The first thing that runs in every child: ties it to the supervisor, then becomes the module.
//!
//! This is a program of its own between fork and the module because some of it can only be known or done there: the
//! process id that `LISTEN_PID` must hold, and the signal that comes when the supervisor dies.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{
    Resource, Rlimit, Signal, getpid, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};
use trellis_core::model::SocketMode;

use crate::sockets;

/// The first descriptor of the systemd socket protocol.
const LISTEN_FD: i32 = 3;
/// Descriptors from here on are for the child only if it was given them.
const FIRST_OTHER_FD: i32 = 3;

/// Instead of a limit of open files.
const AS_IT_IS: &str = "-";

/// Becomes the module. Returns only the error that kept it from that; end with an exit code of failure then.
/// `args` are those behind the launcher's own (`Options::launcher`).
pub fn run(args: impl Iterator<Item = OsString>) -> io::Error {
    match prepare(args) {
        Ok(mut command) => {
            let error = command.exec();
            io::Error::new(error.kind(), format!("cannot run {}: {error}", command.get_program().display()))
        }
        Err(error) => error,
    }
}

/// The arguments of a launcher that is started by this process, up to the module's own.
pub(crate) fn arguments(socket: SocketMode, files: Option<u64>) -> [OsString; 3] {
    let files = files.map_or_else(|| AS_IT_IS.into(), |files| files.to_string());
    [std::process::id().to_string().into(), word(socket).into(), files.into()]
}

fn word(socket: SocketMode) -> &'static str {
    match socket {
        SocketMode::Port => "port",
        SocketMode::Inherit => "inherit",
    }
}

fn prepare(mut args: impl Iterator<Item = OsString>) -> io::Result<Command> {
    let usage = || io::Error::new(io::ErrorKind::InvalidInput, "this command is for trellis itself");
    let supervisor = args.next().ok_or_else(usage)?;
    let mode = args.next().ok_or_else(usage)?;
    let files = args.next().ok_or_else(usage)?;
    let program = args.next().ok_or_else(usage)?;
    let socket = [SocketMode::Port, SocketMode::Inherit]
        .into_iter()
        .find(|socket| mode == word(*socket))
        .ok_or_else(usage)?;

    let files = match files.to_str() {
        Some(AS_IT_IS) => None,
        text => Some(text.and_then(|text| text.parse::<u64>().ok()).ok_or_else(usage)?),
    };

    die_with(&supervisor)?;
    if let Some(files) = files {
        let limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.map_or(files, |maximum| files.min(maximum));
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit })?;
    }
    // What `trellis` itself was given without asking (by make, a shell, a test runner) is not for its modules.
    close_fds::set_fds_cloexec(FIRST_OTHER_FD, &[]);

    let mut command = Command::new(program);
    command.args(args);
    if socket == SocketMode::Inherit {
        // They come over standard input, the one descriptor that a spawn can set without more ado.
        let listeners = sockets::take(io::stdin().as_fd())?;
        command.stdin(Stdio::null());
        command.env("LISTEN_FDS", listeners.len().to_string()).env("LISTEN_PID", getpid().to_string());
        let mapping = |(child_fd, parent_fd)| FdMapping { parent_fd, child_fd };
        let mappings = (LISTEN_FD..).zip(listeners).map(mapping).collect();
        command.fd_mappings(mappings).map_err(io::Error::other)?;
    }
    Ok(command)
}

/// Has this process killed when the supervisor's spawning thread dies.
fn die_with(supervisor: &OsStr) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above; then no signal comes.
    let parent = getppid().map(|pid| OsString::from(pid.to_string()));
    if parent.as_deref() == Some(supervisor) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "the supervisor is gone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_a_supervisors_arguments_is_refused() {
        let odd: [&[&str]; 7] = [
            &[],
            &["1"],
            &["1", "port"],
            &["1", "port", "-"],
            &["1", "socket", "-", "/bin/true"],
            &["1", "port", "many", "/bin/true"],
            &["x", "port"],
        ];
        for args in odd {
            let error = run(args.iter().map(OsString::from));
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{args:?}");
        }
    }
}
