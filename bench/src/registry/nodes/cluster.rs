//! The nodes: started, killed, started again on the same data.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::super::caller::{Caller, Way};
use super::super::servers::{Programs, ROUTE};
use super::Probe;
use crate::child::Child;

/// Longest wait for a node to serve.
const SERVE_LIMIT: Duration = Duration::from_mins(1);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(5);

/// What the clients know of a node: where it is, and how often it has gone away or come back.
#[derive(Default)]
pub(in super::super) struct State {
    doors: Mutex<Option<Doors>>,
    /// Even while it is to serve, odd from just before a kill until it serves again.
    turns: AtomicU64,
}

/// Where a node is reached; other places after each start, since nobody keeps a port for it meanwhile.
#[derive(Debug, Clone, Copy)]
struct Doors {
    admin: SocketAddr,
    consul: SocketAddr,
    eureka: SocketAddr,
    dns: SocketAddr,
}

/// What a platform writes into `run.json`.
#[derive(Deserialize)]
struct Told {
    pid: u32,
    admin: String,
    consul: String,
    eureka: String,
    dns: SocketAddr,
}

impl State {
    /// A number that is even while it is to serve; if it is the same before and after a request, nothing happened to the
    /// node meanwhile.
    pub(in super::super) fn turn(&self) -> u64 {
        self.turns.load(Ordering::SeqCst)
    }

    /// Where it is asked in this way; where it was before, while it is away.
    pub(in super::super) fn address(&self, way: Way) -> Result<SocketAddr> {
        let doors = *self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let doors = doors.context("the node was never there")?;
        Ok(match way {
            Way::Native => doors.admin,
            Way::Consul => doors.consul,
            Way::Eureka => doors.eureka,
            Way::Dns => doors.dns,
        })
    }

    /// A client that asks it in this way.
    pub(in super::super) fn caller(&self, way: Way) -> Result<Caller> {
        Ok(Caller::ours(way, self.address(way)?))
    }

    fn is_at(&self, doors: Doors) {
        *self.doors.lock().unwrap_or_else(PoisonError::into_inner) = Some(doors);
    }
}

impl Doors {
    /// As the process of this id has told them; none yet.
    fn read(data: &Path, pid: u32) -> Option<Self> {
        let text = std::fs::read(data.join("run.json")).ok()?;
        let told: Told = serde_json::from_slice(&text).ok()?;
        let address = |url: &str| url.strip_prefix("http://")?.parse().ok();
        // After a kill there is what the last one told.
        (told.pid == pid).then_some(())?;
        Some(Self {
            admin: address(&told.admin)?,
            consul: address(&told.consul)?,
            eureka: address(&told.eureka)?,
            dns: told.dns,
        })
    }
}

/// Nodes on one database.
pub(in super::super) struct Cluster {
    trellis: PathBuf,
    nodes: Vec<Node>,
}

/// What nodes are called in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Names {
    /// Each as it is called here: sessions and checks are of one of them.
    Own,
    /// All the same, so that an instance is one wherever it is registered.
    Shared,
}

struct Node {
    name: String,
    folder: PathBuf,
    state: Arc<State>,
    child: Option<Child>,
}

impl Cluster {
    /// Starts a node on each of these URLs, which lead to one database.
    pub(in super::super) async fn start(
        programs: &Programs,
        folder: &Path,
        stores: &[String],
        names: Names,
    ) -> Result<Self> {
        let mut cluster = Self { trellis: programs.trellis.clone(), nodes: Vec::new() };
        for (number, store) in stores.iter().enumerate() {
            let name = format!("node-{}", number + 1);
            let folder = folder.join(&name);
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let own = match names {
                Names::Own => format!("node = \"{name}\"\n"),
                Names::Shared => String::new(),
            };
            let text = format!(
                "[app]\nname = \"bench\"\nstore = \"{store}\"\n\n[registry]\n{own}max_instances = 10000000\n{ROUTE}"
            );
            std::fs::write(folder.join("trellis.toml"), text)?;
            cluster.nodes.push(Node { name, folder, state: Arc::default(), child: None });
            cluster.spawn(number).await?;
        }
        Ok(cluster)
    }

    /// Starts a node, and waits until it tells where it is.
    async fn spawn(&mut self, number: usize) -> Result<()> {
        let node = &mut self.nodes[number];
        let path = |name: &str| node.folder.join(name);
        let data = path("data");
        let (manifest, folder) = (path("trellis.toml").display().to_string(), data.display().to_string());
        let args = ["up", "--json", "--any-port", "-f", &manifest, "--data-dir", &folder];
        let mut child = Child::start(&node.name, &self.trellis, args, &node.folder)?;
        let (pid, mut doors) = (child.pid(), None);
        let told = async || {
            doors = Doors::read(&data, pid);
            doors.is_some()
        };
        child.ready_every(POLL, told).await?;
        node.state.is_at(doors.context("it told nothing")?);
        node.child = Some(child);
        Ok(())
    }

    pub(in super::super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(in super::super) fn state(&self, number: usize) -> Arc<State> {
        Arc::clone(&self.nodes[number].state)
    }

    pub(in super::super) fn states(&self) -> Vec<Arc<State>> {
        self.nodes.iter().map(|node| Arc::clone(&node.state)).collect()
    }

    /// What a node is called here, and in the registry if it has a name of its own.
    pub(in super::super) fn name(&self, number: usize) -> &str {
        &self.nodes[number].name
    }

    /// Kills a node with -9, with everything that it started.
    pub(in super::super) async fn kill(&mut self, number: usize) -> Result<()> {
        let node = &mut self.nodes[number];
        node.state.turns.fetch_add(1, Ordering::SeqCst);
        node.child.take().context("it does not run")?.stop().await
    }

    /// Starts a killed node; how long it took until it answered `probe` rightly.
    pub(in super::super) async fn start_again(&mut self, number: usize, probe: Probe) -> Result<Duration> {
        let began = Instant::now();
        self.spawn(number).await?;
        self.until(number, SERVE_LIMIT, probe).await?;
        self.nodes[number].state.turns.fetch_add(1, Ordering::SeqCst);
        Ok(began.elapsed())
    }

    /// Waits until a node answers `probe` rightly.
    pub(in super::super) async fn until(&self, number: usize, limit: Duration, probe: Probe) -> Result<()> {
        let began = Instant::now();
        let mut caller = self.nodes[number].state.caller(Way::Native)?;
        while let Err(error) = caller.call(probe).await {
            ensure!(began.elapsed() < limit, "not within {limit:?}: {error:#}");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Fails with the last words of a node that has ended by itself.
    pub(in super::super) fn all_run(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            if let Some(child) = &mut node.child
                && let Some(status) = child.ended()?
            {
                bail!("{} ended by itself ({status}); {}", node.name, child.last_words());
            }
        }
        Ok(())
    }

    pub(in super::super) fn last_words(&self) -> String {
        let children = self.nodes.iter().filter_map(|node| node.child.as_ref());
        children.map(Child::last_words).collect::<Vec<_>>().join("\n")
    }
}
