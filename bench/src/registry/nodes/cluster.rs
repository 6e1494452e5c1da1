//! The nodes: started, killed, started again at the same addresses.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::caller::Caller;
use super::super::servers::{Programs, ROUTE};
use super::Probe;
use crate::child::{Child, free_addresses};

/// Longest wait for a node to serve.
const SERVE_LIMIT: Duration = Duration::from_secs(30);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(5);

/// What the clients know of a node: where it is, and how often it has gone away or come back.
pub(super) struct State {
    pub(super) address: SocketAddr,
    /// Even while it is to serve, odd from just before a kill until it serves again.
    turns: AtomicU64,
}

impl State {
    /// A number that is even while it is to serve; if it is the same before and after a request, nothing happened to the
    /// node meanwhile.
    pub(super) fn turn(&self) -> u64 {
        self.turns.load(Ordering::SeqCst)
    }
}

pub(super) struct Cluster {
    trellis: PathBuf,
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    folder: PathBuf,
    state: Arc<State>,
    child: Option<Child>,
}

impl Cluster {
    /// Starts `count` nodes on the database at `store`.
    pub(super) async fn start(programs: &Programs, folder: &Path, count: usize, store: &str) -> Result<Self> {
        let mut cluster = Self { trellis: programs.trellis.clone(), nodes: Vec::new() };
        for number in 1..=count {
            let [admin] = free_addresses()?;
            let name = format!("node-{number}");
            let folder = folder.join(&name);
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let text = format!(
                "[app]\nname = \"bench\"\nstore = \"{store}\"\n\n[registry]\nmax_instances = 10000000\n{ROUTE}"
            );
            std::fs::write(folder.join("trellis.toml"), text)?;
            let state = Arc::new(State { address: admin, turns: AtomicU64::new(0) });
            cluster.nodes.push(Node { name, folder, state, child: None });
            cluster.spawn(number - 1)?;
            let live = async || crate::child::listens(admin).await;
            if let Some(child) = &mut cluster.nodes[number - 1].child {
                child.ready(live).await?;
            }
        }
        Ok(cluster)
    }

    fn spawn(&mut self, number: usize) -> Result<()> {
        let node = &mut self.nodes[number];
        let path = |name: &str| node.folder.join(name).display().to_string();
        let (manifest, data) = (path("trellis.toml"), path("data"));
        let admin = node.state.address.to_string();
        let args =
            ["up", "--json", "--any-port", "--admin-listen", &admin, "-f", &manifest, "--data-dir", &data];
        node.child = Some(Child::start(&node.name, &self.trellis, args, &node.folder)?);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn state(&self, number: usize) -> Arc<State> {
        Arc::clone(&self.nodes[number].state)
    }

    pub(super) fn states(&self) -> Vec<Arc<State>> {
        self.nodes.iter().map(|node| Arc::clone(&node.state)).collect()
    }

    /// Kills a node with -9, with everything that it started.
    pub(super) async fn kill(&mut self, number: usize) -> Result<()> {
        let node = &mut self.nodes[number];
        node.state.turns.fetch_add(1, Ordering::SeqCst);
        node.child.take().context("it does not run")?.stop().await
    }

    /// Starts a killed node; how long it took until it answered `probe` rightly.
    pub(super) async fn start_again(&mut self, number: usize, probe: Probe) -> Result<Duration> {
        let began = Instant::now();
        self.spawn(number)?;
        self.until(number, SERVE_LIMIT, probe).await?;
        self.nodes[number].state.turns.fetch_add(1, Ordering::SeqCst);
        Ok(began.elapsed())
    }

    /// Waits until a node answers `probe` rightly.
    pub(super) async fn until(&self, number: usize, limit: Duration, probe: Probe) -> Result<()> {
        let began = Instant::now();
        let mut caller = Caller::ours(self.nodes[number].state.address);
        while let Err(error) = caller.call(probe).await {
            ensure!(began.elapsed() < limit, "not within {limit:?}: {error:#}");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    pub(super) fn last_words(&self) -> String {
        let children = self.nodes.iter().filter_map(|node| node.child.as_ref());
        children.map(Child::last_words).collect::<Vec<_>>().join("\n")
    }
}
