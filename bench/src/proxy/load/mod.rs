//! The load: a closed loop of connections that each ask again when they are answered.

mod h2load;
mod tiny;
mod wrk;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

pub(super) use h2load::{MESSAGE, METHOD};
pub(super) use wrk::Paths;

use super::peers::Wire;

/// Time beyond the load's own that a load generator may take.
const GRACE: Duration = Duration::from_secs(20);

/// Who makes the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generator {
    /// `wrk` for HTTP/1.1 and TLS, `h2load` for gRPC.
    Tools,
    /// A loop in this program, for tests where neither is installed. HTTP/1.1 only.
    BuiltIn,
}

/// A load, ready to be put on any proxy.
pub(super) struct Load<'a> {
    pub(super) generator: Generator,
    pub(super) wire: Wire,
    pub(super) paths: Paths,
    pub(super) connections: usize,
    pub(super) folder: &'a Path,
}

/// What the load saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Answered well; those of wrk that failed are among them.
    pub(super) requests: u64,
    /// Not answered, or not well.
    pub(super) failed: u64,
    pub(super) seconds: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
}

impl Load<'_> {
    /// Loads the proxy at `listen` for `time`.
    pub(super) async fn run(&self, listen: SocketAddr, time: Duration) -> Result<Run> {
        let (connections, folder) = (self.connections, self.folder);
        match (self.generator, self.wire) {
            (Generator::BuiltIn, Wire::H1) => tiny::run(&format!("http://{listen}"), connections, time).await,
            (Generator::BuiltIn, _) => bail!("the built-in load speaks plain HTTP/1.1 only"),
            (Generator::Tools, Wire::H1) => {
                wrk::run(&format!("http://{listen}/"), self.paths, connections, time, folder).await
            }
            (Generator::Tools, Wire::Tls) => {
                wrk::run(&format!("https://{listen}/"), self.paths, connections, time, folder).await
            }
            (Generator::Tools, Wire::Grpc) => {
                h2load::run(&listen.to_string(), connections, time, folder).await
            }
        }
    }
}

/// Runs a load generator to its end and returns what it said; it is killed if it takes much longer than `time`.
async fn tool(command: &mut Command, time: Duration) -> Result<String> {
    let name = Path::new(command.as_std().get_program()).display().to_string();
    let child = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(time + GRACE, child).await;
    let output = output.with_context(|| format!("{name} did not end within {:?}", time + GRACE))?;
    let output = output.with_context(|| format!("cannot run {name}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{name} failed ({}):\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(said)
}

/// Of sorted values; 0 of none.
fn percentile(sorted: &[u64], quantile: f64) -> u64 {
    let index = (sorted.len() as f64 * quantile) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
