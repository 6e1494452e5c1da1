//! A running `trellis proxy`, and a service that nobody runs for us.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::{eventually, http, module, trellis};

/// A running proxy; killed when dropped.
pub(crate) struct Proxy {
    child: Child,
    /// Its readiness line.
    pub(crate) ready: Value,
    _stdout: BufReader<ChildStdout>,
}

impl Proxy {
    /// Starts `trellis proxy` on free ports and waits for its readiness line.
    pub(crate) fn start(control: &str, args: &[&str]) -> Self {
        let mut child = trellis()
            .args(["proxy", "--json", "--inbound", "127.0.0.1:0", "--outbound", "127.0.0.1:0"])
            .args(["--control", control])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("trellis can be run");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { child, ready, _stdout: stdout }
    }

    /// A URL of one of its doors: `inbound`, `outbound` or `admin`.
    pub(crate) fn at(&self, door: &str, path: &str) -> String {
        format!("{}{path}", self.ready[door].as_str().expect("an address"))
    }

    /// What a service answers through it.
    pub(crate) fn call(&self, service: &str, path: &str) -> http::Answer {
        http::send("GET", &self.at("outbound", path), &[("host", service)])
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python module as a program of its own; killed when dropped.
pub(crate) struct Web {
    child: Child,
    pub(crate) port: u16,
}

impl Web {
    pub(crate) fn start(folder: &Path) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let child = Command::new(module())
            .env("PORT", port.to_string())
            .env("TRELLIS_DATA_DIR", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the module can be run");
        let there = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        eventually("it listens", there);
        Self { child, port }
    }

    pub(crate) fn pid(&self) -> u64 {
        self.child.id().into()
    }

    /// Registers it as the only instance of `service`.
    pub(crate) fn register(&self, admin: &str, service: &str) {
        let body = format!(
            r#"{{"name":"{service}","host":"127.0.0.1","port":{},"status":"UP","lease":"1h"}}"#,
            self.port
        );
        let answer = http::put(&format!("{admin}/v1/instances/{service}-x"), "application/json", &body);
        assert!((200..300).contains(&answer.status), "{answer:?}");
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
