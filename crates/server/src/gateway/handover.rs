//! A new process takes over from a running one, without a connection lost: it inherits the listening sockets, and the old
//! one stops accepting only when the new one has begun.
//!
//! What is inherited is named as service managers do it (`LISTEN_FDS`, `LISTEN_FDNAMES`), so that a socket unit with the
//! same names can start a gateway, too.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use tokio::time::timeout;
use trellis_core::{Error, codes};

/// Sockets that were open before this process began, by the setting that they are for: `gateway.listen`.
#[derive(Debug, Default)]
pub struct Inherited {
    listeners: HashMap<String, TcpListener>,
    /// The process that waits for us to begin.
    predecessor: Option<UnixDatagram>,
}

/// How this process was started, to start another like it.
#[derive(Debug, Clone)]
pub struct Program {
    /// The file, which may have been replaced by a newer one since.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// What the socket is called that a successor says over that it has begun.
pub const HANDOVER: &str = "handover";
const READY: &[u8] = b"ready";
/// How long a successor may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first descriptor after those that every process has.
const FIRST: i32 = 3;

impl Inherited {
    /// Sockets by their names, and the one to `predecessor` if there is one.
    pub fn new(listeners: HashMap<String, TcpListener>, predecessor: Option<UnixDatagram>) -> Self {
        Self { listeners, predecessor }
    }

    /// The socket for `setting`, if it listens on `address`, or on any port where any will do.
    pub(crate) fn take(&mut self, setting: &str, address: SocketAddr) -> Option<TcpListener> {
        let found = self.listeners.get(setting)?.local_addr().ok()?;
        let fits = found == address || (address.port() == 0 && found.ip() == address.ip());
        if fits { self.listeners.remove(setting) } else { None }
    }

    /// Tells the predecessor that this process has begun. Whoever has given up waiting need not know.
    pub(super) fn begun(&self) {
        if let Some(predecessor) = &self.predecessor
            && let Err(error) = predecessor.send(READY)
        {
            tracing::warn!(%error, "the process before this one does not listen any more");
        }
    }
}

/// Starts a successor with `listeners`, and waits until it has begun. If it does not, this process goes on as if nothing
/// had been asked.
pub(super) async fn succeed(program: &Program, listeners: &[(String, TcpListener)]) -> Result<u32, Error> {
    let failed = |what: &str, error: std::io::Error| {
        Error::new(codes::HANDOVER_FAILED, format!("the new process {what}")).because(error)
    };
    let (ours, theirs) = UnixDatagram::pair().map_err(|error| failed("cannot be talked to", error))?;
    ours.set_nonblocking(true).map_err(|error| failed("cannot be talked to", error))?;
    let mut names: Vec<&str> = listeners.iter().map(|(name, _)| name.as_str()).collect();
    names.push(HANDOVER);
    let mut descriptors = Vec::new();
    for (_, listener) in listeners {
        descriptors.push(listener.try_clone().map(OwnedFd::from));
    }
    descriptors.push(Ok(theirs.into()));
    let mut mappings = Vec::new();
    for (child_fd, parent_fd) in (FIRST..).zip(descriptors) {
        let parent_fd = parent_fd.map_err(|error| failed("cannot be given the sockets", error))?;
        mappings.push(FdMapping { parent_fd, child_fd });
    }
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .env("LISTEN_FDS", names.len().to_string())
        .env("LISTEN_FDNAMES", names.join(":"))
        .env_remove("LISTEN_PID");
    command
        .fd_mappings(mappings)
        .map_err(|error| failed("cannot be given the sockets", std::io::Error::other(error)))?;
    let mut child =
        tokio::process::Command::from(command).spawn().map_err(|error| failed("cannot be started", error))?;
    let pid = child.id().unwrap_or_default();
    let ours =
        tokio::net::UnixDatagram::from_std(ours).map_err(|error| failed("cannot be talked to", error))?;
    let mut word = [0; READY.len()];
    let heard = async {
        tokio::select! {
            heard = ours.recv(&mut word) => heard.map(|_| ()),
            ended = child.wait() => Err(std::io::Error::other(match ended {
                Ok(status) => format!("it ended: {status}"),
                Err(error) => error.to_string(),
            })),
        }
    };
    match timeout(PATIENCE, heard).await {
        Ok(Ok(())) => Ok(pid),
        Ok(Err(error)) => Err(failed("did not begin", error)),
        Err(_) => {
            // It must not begin later, when nobody expects it.
            let _ = child.kill().await;
            let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
            Err(failed("did not begin in time", late))
        }
    }
}
