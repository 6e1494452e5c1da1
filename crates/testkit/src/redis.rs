//! A real Redis server in a temporary folder.

use rustix::process::Signal;

use crate::daemon::{Daemon, Plan};
use crate::programs;
use crate::scratch::Scratch;

/// The port is chosen before the server takes it, so another process may be faster.
const ATTEMPTS: usize = 5;

/// A server of its own. Dropping it stops it.
pub struct Redis {
    port: u16,
    // Stopped before its folder is removed, by the order of the fields.
    _daemon: Daemon,
    _folder: Scratch,
}

impl Redis {
    /// Starts a server on a free port.
    pub fn start() -> anyhow::Result<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::start_on(programs::free_port()?) {
                Err(error) if format!("{error:#}").contains("in use") => last = Some(error),
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("Redis did not start")))
    }

    /// Starts a server on this port, to bring one back after a test took it away.
    pub fn start_on(port: u16) -> anyhow::Result<Self> {
        let program = programs::find("redis-server", &[], "redis-server")?;
        let folder = Scratch::new("redis", None)?;
        let port_text = port.to_string();
        let args = ["--port", &port_text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let plan = Plan {
            name: "redis-server",
            program: program.into(),
            args: args.map(Into::into).into(),
            folder: folder.path(),
            account: None,
            ready: "Ready to accept connections",
            stop: Signal::TERM,
        };
        Ok(Self { port, _daemon: Daemon::start(&plan)?, _folder: folder })
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}
