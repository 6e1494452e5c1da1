//! The services behind the gateway, and what arrived at them.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::service::LINE;
use crate::child::{Child, listens};

/// Ports that the kernel gives to nobody by itself: between a stop and the next start, one of those could go to another
/// connection, or be connected to itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Longest time that one may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Several services, each on a port of its own. Dropping them kills them.
pub(super) struct Services {
    program: PathBuf,
    folder: PathBuf,
    arrivals: PathBuf,
    running: Vec<Option<Child>>,
    /// Where they listen.
    pub(super) addresses: Vec<SocketAddr>,
}

/// What arrived, held against what was answered.
pub(super) struct Audit {
    /// POST requests that arrived.
    pub(super) posts: u64,
    /// Those that arrived more than once.
    pub(super) repeated: u64,
    /// Answered ones that never arrived.
    pub(super) unheard: u64,
}

impl Services {
    /// Starts `count` of them; `program` is this one.
    pub(super) async fn start(program: &Path, folder: &Path, count: usize) -> Result<Self> {
        let mut services = Self {
            program: program.into(),
            folder: folder.into(),
            arrivals: folder.join("arrivals"),
            running: Vec::new(),
            addresses: fixed_addresses(count)?,
        };
        for number in 0..count {
            services.running.push(None);
            services.begin(number).await?;
        }
        Ok(services)
    }

    async fn begin(&mut self, number: usize) -> Result<()> {
        let address = self.addresses[number];
        let (listen, arrivals) = (address.to_string(), self.arrivals.display().to_string());
        let args = ["service", "--listen", &listen, "--arrivals", &arrivals];
        let mut child = Child::start(&format!("service-{number}"), &self.program, args, &self.folder)?;
        child.ready(async || listens(address).await).await?;
        self.running[number] = Some(child);
        Ok(())
    }

    /// Has one stop as it likes, and starts it anew on its port.
    pub(super) async fn restart(&mut self, number: usize) -> Result<()> {
        let running = self.running[number].take().context("it does not run")?;
        let status = running.terminate(STOP_LIMIT).await?;
        ensure!(status.success(), "service-{number} did not stop well: {status}");
        self.begin(number).await
    }

    /// Ends them, and compares what arrived with the numbers of the POST requests that were `answered`.
    pub(super) async fn audit(self, answered: &[u64]) -> Result<Audit> {
        for child in self.running.into_iter().flatten() {
            child.stop().await?;
        }
        let text = std::fs::read_to_string(&self.arrivals);
        audit(&text.with_context(|| format!("cannot read {}", self.arrivals.display()))?, answered)
    }
}

fn audit(arrivals: &str, answered: &[u64]) -> Result<Audit> {
    ensure!(arrivals.len().is_multiple_of(LINE), "arrivals are mixed up");
    let mut times: HashMap<u64, u64> = HashMap::new();
    for line in arrivals.lines() {
        let number = line.trim().parse().with_context(|| format!("no number: {line}"))?;
        *times.entry(number).or_default() += 1;
    }
    Ok(Audit {
        posts: times.len() as u64,
        repeated: times.values().filter(|times| **times > 1).count() as u64,
        unheard: answered.iter().filter(|number| !times.contains_key(number)).count() as u64,
    })
}

fn fixed_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    let mut held = Vec::new();
    // Others on this machine may look for ports at the same time, from the same place.
    let first = fastrand::u16(PORTS);
    let ports = (first..PORTS.end).chain(PORTS.start..first);
    let mut free = ports.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    held.extend(free.by_ref().take(count));
    ensure!(held.len() == count, "no free port in {PORTS:?}");
    held.iter().map(|listener| listener.local_addr().context("a socket without an address")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_twice_and_what_never_came_is_found() {
        let line = |number: u64| format!("{number:>20}\n");
        let arrivals = [1, 3, 5, 3, 7].map(line).concat();
        let audit = audit(&arrivals, &[1, 3, 9]).unwrap();
        assert_eq!((audit.posts, audit.repeated, audit.unheard), (4, 1, 1));
        assert!(super::audit(&arrivals[..30], &[]).is_err());
    }

    #[test]
    fn services_have_ports_that_the_kernel_does_not_give_away() {
        let found = fixed_addresses(3).unwrap();
        assert!(found.iter().all(|address| PORTS.contains(&address.port())), "{found:?}");
    }
}
