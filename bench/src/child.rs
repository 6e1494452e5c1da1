//! A program under measurement: started in a process group of its own, asked what it costs, and always ended.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Command;

use crate::platform::tail;
use crate::procs::{self, Memory};

/// Longest wait for a program to become ready.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(10);

/// A running program with all its processes. Dropping it kills them.
pub(crate) struct Child {
    name: String,
    process: tokio::process::Child,
    pid: u32,
    log: PathBuf,
}

impl Child {
    /// Starts `program` with `args`; what it says goes to `folder/NAME.log`.
    pub(crate) fn start<A: AsRef<std::ffi::OsStr>>(
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = A>,
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = std::fs::File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        // setpriv becomes the program, and has the kernel end it if this program dies without a word.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run setpriv (package util-linux) for {}", program.display()))?;
        let pid = process.id().context("a process without an id")?;
        Ok(Self { name: name.into(), process, pid, log })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until `is_ready` says so; an error with the program's last words if it ends or takes too long.
    pub(crate) async fn ready(&mut self, is_ready: impl AsyncFnMut() -> bool) -> Result<()> {
        self.ready_every(POLL, is_ready).await
    }

    /// The same, asked as often as `pause` says.
    pub(crate) async fn ready_every(
        &mut self,
        pause: Duration,
        mut is_ready: impl AsyncFnMut() -> bool,
    ) -> Result<()> {
        let began = Instant::now();
        while !is_ready().await {
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended before it was ready ({status}); {}", self.name, self.last_words());
            }
            if began.elapsed() > READY_LIMIT {
                bail!("{} was not ready within {READY_LIMIT:?}; {}", self.name, self.last_words());
            }
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.try_wait().with_context(|| format!("cannot ask about {}", self.name))
    }

    /// Processor time, user and system, of all its processes.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut sum = Duration::ZERO;
        for pid in self.processes()? {
            sum += procs::cpu(pid).with_context(|| self.gone())?;
        }
        Ok(sum)
    }

    /// Memory of all its processes. A page that two of them share counts twice in RSS, once in PSS.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut sum = Memory::default();
        for pid in self.processes()? {
            let one = procs::memory(pid).with_context(|| self.gone())?;
            sum.rss_kib += one.rss_kib;
            sum.pss_kib += one.pss_kib;
            sum.private_dirty_kib += one.private_dirty_kib;
        }
        Ok(sum)
    }

    fn processes(&self) -> Result<Vec<u32>> {
        let mut all = vec![self.pid];
        all.extend(procs::descendants(self.pid).with_context(|| self.gone())?);
        Ok(all)
    }

    fn gone(&self) -> String {
        format!("{} is gone; {}", self.name, self.last_words())
    }

    /// The end of its log, for a person.
    pub(crate) fn last_words(&self) -> String {
        format!("the last words of {}:\n{}", self.name, tail(&self.log))
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn terminate(mut self, limit: Duration) -> Result<ExitStatus> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).context("a process without an id")?;
        // To wait closes it, and its end means that nobody is there any more.
        let _stdin = self.process.stdin.take();
        kill_process(pid, Signal::TERM).with_context(|| self.gone())?;
        let ended = tokio::time::timeout(limit, self.process.wait()).await;
        let ended = ended.with_context(|| format!("{} did not stop within {limit:?}", self.name))?;
        ended.with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Ends it and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.kill();
        self.process.wait().await.with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    fn kill(&self) {
        // Its workers, too. Once it was waited for, the id may be someone else's.
        if self.process.id().is_some()
            && let Some(group) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether someone listens there.
pub(crate) async fn listens(address: SocketAddr) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// Loopback addresses that were free a moment ago.
pub(crate) fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    // All are held until the last is found, so no two are the same.
    let mut held = Vec::new();
    let mut found = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for address in &mut found {
        let listener = TcpListener::bind(*address).context("no free port on loopback")?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_ends_too_early_is_told_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let args = ["-c", "echo the port is taken; exit 3"];
        let mut child = Child::start("proxy", Path::new("/bin/sh"), args, folder.path()).unwrap();
        let error = child.ready(async || false).await.unwrap_err().to_string();
        assert!(error.contains("the port is taken") && error.contains("exit status: 3"), "{error}");
    }

    #[tokio::test]
    async fn its_processes_are_counted_together_and_end_together() {
        let folder = tempfile::tempdir().unwrap();
        let args = ["-c", "sleep 60 & sleep 60 & wait"];
        let mut child = Child::start("proxy", Path::new("/bin/sh"), args, folder.path()).unwrap();
        let pid = child.pid;
        child.ready(async || procs::children(pid).unwrap().len() == 2).await.unwrap();
        let all = child.processes().unwrap();
        assert!(child.memory().unwrap().rss_kib > procs::memory(pid).unwrap().rss_kib);
        assert!(child.cpu().is_ok());
        child.stop().await.unwrap();
        let began = Instant::now();
        while all.iter().any(|pid| procs::is_running(*pid)) {
            assert!(began.elapsed() < READY_LIMIT, "{all:?} run on");
            tokio::time::sleep(POLL).await;
        }
    }

    #[test]
    fn free_addresses_differ() {
        let [a, b, c] = free_addresses::<3>().unwrap();
        assert!(a != b && b != c && a != c && a.ip().is_loopback());
    }
}
