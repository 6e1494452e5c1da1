//! What happens to the nodes, and to what they stand on.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;
use trellis_testkit::{Link, Postgres};

use super::super::act::{Act, Key};
use super::super::nodes::cluster::Cluster;
use super::super::progress;
use super::story::Story;
use super::{Options, POLL, RESUME_LIMIT, calls};

/// What a node has to answer rightly before it counts as one that serves.
pub(super) const PROBE: Act = Act::Read(Key(0));
/// So many locks have to be given until they do.
const RESUMED: u64 = 10;

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// A node is killed with -9 and started again at once, before others know.
    Kill,
    /// Nothing passes between a node and PostgreSQL, and nobody is told; then all that waited arrives.
    Silence,
    /// PostgreSQL aborts, and starts again; every second time it stays away for as long as other faults last.
    Database,
    /// A node is killed with -9, and comes back when others have taken over what was its.
    Absence,
    /// Nothing passes between a node and PostgreSQL; then the connections break.
    Cut,
    /// The connections between a node and PostgreSQL fall silent for good, and nobody is told; new ones are fine.
    Lost,
}

/// One that happened.
#[derive(Debug, Serialize)]
pub struct Suffered {
    /// Which.
    pub fault: Fault,
    /// To which node, from 1; PostgreSQL belongs to none.
    pub node: Option<usize>,
    /// Locks that were given while it lasted.
    pub grants_meanwhile: u64,
    /// From its end until locks went round again.
    pub resumed_ms: f64,
}

impl Fault {
    /// Whether it takes a node away, so that what depends on the node may end.
    fn takes_node_away(self) -> bool {
        self != Self::Database
    }

    const ALL: [Self; 6] = [Self::Kill, Self::Silence, Self::Database, Self::Absence, Self::Cut, Self::Lost];
}

/// What faults are made of.
pub(super) struct Faults {
    pub(super) postgres: Arc<Postgres>,
    /// From each node to PostgreSQL.
    pub(super) links: Vec<Link>,
}

impl Faults {
    /// All of them, one after the other.
    pub(super) async fn all(
        &mut self,
        options: &Options,
        cluster: &mut Cluster,
        story: &Story,
    ) -> Result<Vec<Suffered>> {
        let mut suffered = Vec::new();
        goes_round(story, story.grants()).await?;
        for number in 0..options.faults {
            tokio::time::sleep(options.pause).await;
            let fault = Fault::ALL[number % Fault::ALL.len()];
            // Every fault comes to every node.
            let node = (number / Fault::ALL.len() + number) % cluster.len();
            let before = story.grants();
            if fault.takes_node_away() {
                story.goes_away(cluster.name(node));
            }
            let is_long = number / Fault::ALL.len() % 2 == 1;
            self.one(fault, node, is_long, options, cluster).await?;
            let (over, grants_meanwhile) = (Instant::now(), story.grants() - before);
            let resumed = async {
                goes_round(story, story.grants()).await?;
                anyhow::Ok(over.elapsed())
            };
            let back = async {
                if fault.takes_node_away() {
                    calls::is_member(&cluster.state(node)).await?;
                    story.comes_back(cluster.name(node));
                }
                anyhow::Ok(())
            };
            let (resumed, ()) = tokio::try_join!(resumed, back)?;
            progress(&format!(
                "[locks] fault {} of {}: {fault:?} of node {}; {grants_meanwhile} locks given meanwhile, again after \
                 {resumed:.0?}",
                number + 1,
                options.faults,
                node + 1,
            ));
            let node = (fault != Fault::Database).then_some(node + 1);
            suffered.push(Suffered {
                fault,
                node,
                grants_meanwhile,
                resumed_ms: resumed.as_secs_f64() * 1000.0,
            });
        }
        tokio::time::sleep(options.pause).await;
        Ok(suffered)
    }

    /// One fault. `is_long`: PostgreSQL is away for as long as others are, so that nobody's lease is renewed.
    async fn one(
        &self,
        fault: Fault,
        node: usize,
        is_long: bool,
        options: &Options,
        cluster: &mut Cluster,
    ) -> Result<()> {
        let link = &self.links[node];
        match fault {
            Fault::Kill => {
                cluster.kill(node).await?;
                cluster.start_again(node, PROBE).await?;
            }
            Fault::Absence => {
                cluster.kill(node).await?;
                tokio::time::sleep(options.lasts).await;
                cluster.start_again(node, PROBE).await?;
            }
            Fault::Silence => {
                link.silence();
                tokio::time::sleep(options.lasts).await;
                link.heal();
            }
            Fault::Cut => {
                link.silence();
                tokio::time::sleep(options.lasts).await;
                link.cut();
                link.heal();
            }
            Fault::Lost => {
                link.forget();
                tokio::time::sleep(options.lasts).await;
            }
            Fault::Database => {
                let postgres = Arc::clone(&self.postgres);
                tokio::task::spawn_blocking(move || postgres.stop()).await?;
                if is_long {
                    tokio::time::sleep(options.lasts).await;
                }
                let postgres = Arc::clone(&self.postgres);
                tokio::task::spawn_blocking(move || postgres.start_again()).await??;
            }
        }
        Ok(())
    }
}

/// Waits until so and so many more locks have been given.
async fn goes_round(story: &Story, before: u64) -> Result<()> {
    let began = Instant::now();
    while story.grants() < before + RESUMED {
        ensure!(began.elapsed() < RESUME_LIMIT, "no lock is given any more, for {RESUME_LIMIT:?}");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
