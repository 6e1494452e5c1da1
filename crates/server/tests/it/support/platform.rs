//! A running `trellis up`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{DEADLINE, eventually, runs, trellis};

/// A running platform; killed when dropped.
pub(crate) struct Platform {
    child: Child,
    /// Its readiness line.
    pub(crate) ready: Value,
    log: Mutex<Receiver<String>>,
    _stdout: BufReader<ChildStdout>,
}

impl Platform {
    /// Starts `trellis up` in `folder` on free ports and waits for its readiness line.
    pub(crate) fn up(folder: &Path, args: &[&str]) -> Self {
        Self::up_at(folder, "127.0.0.1:0", args)
    }

    /// The same with its admin API at an address.
    pub(crate) fn up_at(folder: &Path, admin: &str, args: &[&str]) -> Self {
        Self::started_by(trellis(), folder, admin, args)
    }

    /// The same with `program`, which becomes `trellis` in the end.
    pub(crate) fn started_by(mut program: Command, folder: &Path, admin: &str, args: &[&str]) -> Self {
        let mut child = program
            .current_dir(folder)
            .args(["up", "--json", "--any-port", "--admin-listen", admin])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("trellis can be run");
        let mut stderr = child.stderr.take().expect("a pipe");
        let (sender, log) = channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = sender.send(text);
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let Ok(ready) = serde_json::from_str(&line) else {
            let _ = child.kill();
            panic!("no readiness line but {line:?}; the log:\n{}", log.recv().unwrap_or_default());
        };
        Self { child, ready, log: Mutex::new(log), _stdout: stdout }
    }

    pub(crate) fn pid(&self) -> u64 {
        self.child.id().into()
    }

    /// A URL of the gateway.
    pub(crate) fn gateway(&self, path: &str) -> String {
        format!("{}{path}", self.ready["gateway"].as_str().expect("an address"))
    }

    /// A URL of the admin API.
    pub(crate) fn admin(&self, path: &str) -> String {
        format!("{}{path}", self.ready["admin"].as_str().expect("an address"))
    }

    /// A URL of the door for clients of `consul` or `eureka`.
    pub(crate) fn door(&self, door: &str, path: &str) -> String {
        format!("{}{path}", self.ready[door].as_str().expect("an address"))
    }

    /// The address of the door for DNS.
    pub(crate) fn dns(&self) -> SocketAddr {
        self.ready["dns"].as_str().and_then(|text| text.parse().ok()).expect("an address")
    }

    /// The process ids of its modules.
    pub(crate) fn modules(&self) -> Vec<u64> {
        self.ready["modules"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|module| module["pid"].as_u64())
            .collect()
    }

    /// Every process that descends from it, at this moment.
    pub(crate) fn descendants(&self) -> Vec<u64> {
        let mut family = vec![self.pid()];
        let mut next = 0;
        while let Some(pid) = family.get(next).copied() {
            next += 1;
            for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
                let Ok(child) = entry.file_name().to_string_lossy().parse::<u64>() else { continue };
                let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
                let parent = stat
                    .rsplit_once(')')
                    .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u64>().ok());
                if parent == Some(pid) && !family.contains(&child) {
                    family.push(child);
                }
            }
        }
        family.split_off(1)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        kill_process(pid, signal).expect("the signal can be sent");
    }

    /// Waits for its end; gives what it wrote to the log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status =
            eventually("the end of trellis", || self.child.try_wait().expect("it can be waited for"));
        let log = self.log.get_mut().expect("nobody panicked with it");
        (status, log.recv_timeout(DEADLINE).unwrap_or_default())
    }

    /// Stops it with Ctrl-C; nothing of it may be left.
    pub(crate) fn stop(self) -> String {
        // One without modules may be ready before its guardian is there.
        let some = || Some(self.descendants()).filter(|family| !family.is_empty());
        let family = eventually("a child process of the platform", some);
        self.signal(Signal::INT);
        let (status, log) = self.wait();
        assert!(status.success(), "{status}; the log:\n{log}");
        let left: Vec<_> = family.into_iter().filter(|pid| runs(*pid)).collect();
        assert!(left.is_empty(), "left behind: {left:?}; the log:\n{log}");
        log
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // The kernel and the guardian take the modules with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
