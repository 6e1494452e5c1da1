//! What all scenarios of a run share: the upstream, the certificate, and how one window is measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::certificate::Certificate;
use super::figures::Sample;
use super::load::{Load, Paths};
use super::peers::{Proxy, Running, Setting, Wire};
use super::{Options, Scenario, name};
use crate::child::{Child, free_addresses, listens};

/// Descriptors for the idle connections, twice, and everything else.
const DESCRIPTORS: u64 = 32_768;
/// Connections beyond those of the load and to the upstream, so that nobody is near a limit.
const SPARE: usize = 1000;

/// A run. Dropping it ends the upstream.
pub(super) struct Session<'a> {
    pub(super) options: &'a Options,
    folder: PathBuf,
    certificate: Certificate,
    http1: SocketAddr,
    http2: SocketAddr,
    _upstream: Child,
}

impl<'a> Session<'a> {
    pub(super) async fn start(options: &'a Options, folder: &Path) -> Result<Self> {
        raise_descriptors()?;
        let [http1, http2] = free_addresses()?;
        let (first, second, workers) = (http1.to_string(), http2.to_string(), options.workers.to_string());
        let args = ["upstream", "--http1", &first, "--http2", &second, "--workers", &workers];
        let mut upstream = Child::start("upstream", &options.programs.bench, args, folder)?;
        upstream.ready(async || listens(http1).await && listens(http2).await).await?;
        let certificate = Certificate::make(folder)?;
        Ok(Self { options, folder: folder.into(), certificate, http1, http2, _upstream: upstream })
    }

    /// Those chosen ones that `scenario` is about.
    pub(super) fn taking_part(&self, scenario: Scenario) -> Vec<Proxy> {
        let takes_part = |proxy: &Proxy| match scenario {
            Scenario::H1 | Scenario::Grpc => true,
            // The floor neither ends TLS nor is a proxy with something to keep for a connection.
            Scenario::Tls | Scenario::Idle => *proxy != Proxy::Floor,
            _ => *proxy == Proxy::Ours,
        };
        self.options.proxies.iter().copied().filter(takes_part).collect()
    }

    /// Where files and logs of `scenario` go.
    pub(super) fn folder(&self, scenario: Scenario) -> Result<PathBuf> {
        let folder = self.folder.join(name(scenario));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// What proxies have in common in `scenario`, in a folder of its own.
    pub(super) fn setting(&self, scenario: Scenario) -> Result<Setting<'_>> {
        let folder = self.folder(scenario)?;
        let wire = scenario.wire();
        Ok(Setting {
            programs: &self.options.programs,
            wire,
            workers: self.options.workers,
            connections: self.options.connections,
            max_connections: match scenario {
                Scenario::Idle => self.options.idle_connections + SPARE,
                _ => 4 * self.options.connections + SPARE,
            },
            upstream: if wire == Wire::Grpc { self.http2 } else { self.http1 },
            certificate: &self.certificate,
            folder,
        })
    }

    /// The load on one of them.
    pub(super) fn load(&self, wire: Wire, paths: Paths) -> Load<'_> {
        let (generator, connections) = (self.options.generator, self.options.connections);
        Load { generator, wire, paths, connections, folder: &self.folder }
    }
}

/// Load that is not counted; whatever fails here is a mistake in how the proxy was set up.
pub(super) async fn warm_up(running: &Running, load: &Load<'_>, time: Duration) -> Result<()> {
    let run = load.run(running.listen, time).await.with_context(|| running.child.last_words())?;
    ensure!(
        run.requests > 0 && run.failed == 0,
        "{} of {} requests failed while warming up; {}",
        run.failed,
        run.requests + run.failed,
        running.child.last_words()
    );
    Ok(())
}

/// One window.
pub(super) async fn sample(running: &Running, load: &Load<'_>, time: Duration) -> Result<Sample> {
    let before = running.child.cpu()?;
    let run = load.run(running.listen, time).await.with_context(|| running.child.last_words())?;
    let cpu = running.child.cpu()?.saturating_sub(before);
    let memory = running.child.memory()?;
    ensure!(run.requests > 0, "no request was answered; {}", running.child.last_words());
    Ok(Sample {
        requests: run.requests,
        failed: run.failed,
        per_second: run.requests as f64 / run.seconds,
        p50_ms: run.p50_us as f64 / 1000.0,
        p99_ms: run.p99_us as f64 / 1000.0,
        cpu_us: cpu.as_secs_f64() * 1e6 / run.requests as f64,
        rss_mb: mb(memory.rss_kib),
        pss_mb: mb(memory.pss_kib),
    })
}

/// Millions of bytes.
pub(crate) fn mb(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

/// As many descriptors as are wanted, or as this process may have; the proxies inherit them.
pub(crate) fn raise_descriptors() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum };
        setrlimit(Resource::Nofile, raised).context("cannot raise the number of open files")?;
    }
    Ok(())
}
