//! A process that has been checked and can be started.

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;

use hyper::Uri;
use tokio::process::Command;
use trellis_core::model::SocketMode;

use crate::command::check_program;
use crate::ports::{self, Ports};
use crate::{Error, ProcessSpec, launch, sockets};

/// Variables of service managers that are meant for `trellis`, not for its modules.
const NOT_INHERITED: [&str; 5] =
    ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "TRELLIS_SECRET_KEYS"];

/// A process that can be started.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) spec: ProcessSpec,
    pub(crate) health: Uri,
    pub(crate) port: u16,
    /// What it inherits, if it does.
    listener: Option<TcpListener>,
}

impl Prepared {
    /// Checks a spec, and finds a port for it.
    pub(crate) fn new(mut spec: ProcessSpec, ports: &Ports) -> Result<Self, Error> {
        let id = spec.id.clone();
        let program = spec.command.first_mut().ok_or_else(|| Error::NoCommand(id.clone()))?;
        // The child runs in its own directory, from where a relative path would lead elsewhere.
        absolute(program).map_err(|_| Error::NoCommand(id.clone()))?;
        check_program(Path::new(program)).map_err(|source| Error::Command { id: id.clone(), source })?;
        if !spec.directory.is_dir() {
            return Err(Error::Directory { id, directory: spec.directory });
        }
        let Some(health) = health(&spec.health_path) else {
            return Err(Error::HealthPath { id, path: spec.health_path });
        };
        let (listener, port) = match spec.socket {
            SocketMode::Port => ports.choose(None).map(|port| (None, port)),
            SocketMode::Inherit => ports::listen().map(|(listener, port)| (Some(listener), port)),
        }
        .map_err(|source| Error::Socket { id, source })?;
        Ok(Self { spec, health, port, listener })
    }

    /// Makes sure that the port is free, or takes another.
    pub(crate) fn renew_port(&mut self, ports: &Ports) -> io::Result<()> {
        if self.listener.is_none() {
            self.port = ports.choose(Some(self.port))?;
        }
        Ok(())
    }

    /// The command that starts it by way of `launcher`, with that many open files at most.
    pub(crate) fn command(&self, launcher: &[OsString], files: Option<u64>) -> io::Result<Command> {
        let Self { spec, port, listener, .. } = self;
        let (program, args) = launcher.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let more = spec.more_sockets.iter().map(|listener| listener.as_fd());
        let inherited: Vec<_> = listener.iter().map(AsFd::as_fd).chain(more).collect();
        let (mode, stdin) = if inherited.is_empty() {
            (SocketMode::Port, Stdio::null())
        } else {
            (SocketMode::Inherit, sockets::hand_over(&inherited)?.into())
        };
        let mut command = Command::new(program);
        command.args(args).args(launch::arguments(mode, files)).args(&spec.command);
        command.current_dir(&spec.directory);
        command.envs(&spec.env).env("PORT", port.to_string());
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        // In a group of its own, so that all it starts can be signalled together.
        command.process_group(0).kill_on_drop(true);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

/// Makes a path absolute; an empty one has no such form.
pub(crate) fn absolute(program: &mut OsString) -> io::Result<()> {
    *program = std::path::absolute(&*program)?.into();
    Ok(())
}

fn health(path: &str) -> Option<Uri> {
    path.parse().ok().filter(|uri: &Uri| path.starts_with('/') && uri.authority().is_none())
}
