//! The platform's child processes, as it tells of them.

use std::time::Duration;

use anyhow::Context;
use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use super::Platform;
use crate::wait_until;

/// One child process.
#[derive(Debug, Clone, Deserialize)]
pub struct ModuleProcess {
    /// What it is called, such as `orders-1`.
    pub id: String,
    /// The modules it runs; in the monolith several.
    pub modules: Vec<String>,
    /// `waiting`, `starting`, `ready`, `unready`, `backoff`, `stopping` or `stopped`.
    pub state: String,
    /// Process id, while it runs.
    pub pid: Option<u32>,
    /// Port on 127.0.0.1.
    pub port: u16,
    /// How often it was started again.
    pub restarts: u32,
    /// The process that it is the proxy of, if it is one.
    #[serde(default)]
    pub proxy_of: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    processes: Vec<ModuleProcess>,
}

impl Platform {
    /// The child processes, as they are now.
    pub async fn modules(&self) -> anyhow::Result<Vec<ModuleProcess>> {
        let url = format!("{}/v1/status", self.admin());
        let status: Status = self.http().call(Method::GET, url).send().await?.expect(200)?.json()?;
        Ok(status.processes)
    }

    /// The first process that runs this module.
    pub async fn module(&self, name: &str) -> anyhow::Result<ModuleProcess> {
        let processes = self.modules().await?;
        let found = processes.into_iter().find(|process| process.modules.iter().any(|module| module == name));
        found.with_context(|| format!("no process runs the module `{name}`"))
    }

    /// The proxy of the first process that runs this module.
    pub async fn proxy(&self, name: &str) -> anyhow::Result<ModuleProcess> {
        let of = self.module(name).await?.id;
        let found = self.modules().await?.into_iter().find(|process| process.proxy_of.as_ref() == Some(&of));
        found.with_context(|| format!("{of} has no proxy"))
    }

    /// Kills, with SIGKILL, the first process that runs this module. Returns what it was.
    pub async fn kill_module(&self, name: &str) -> anyhow::Result<ModuleProcess> {
        kill(self.module(name).await?)
    }

    /// Kills its proxy.
    pub async fn kill_proxy(&self, name: &str) -> anyhow::Result<ModuleProcess> {
        kill(self.proxy(name).await?)
    }

    /// Waits until a process that was killed runs again and is ready.
    pub async fn wait_restarted(&self, killed: &ModuleProcess, limit: Duration) -> anyhow::Result<()> {
        let back = || async {
            let processes = self.modules().await.unwrap_or_default();
            processes.iter().any(|now| now.id == killed.id && now.pid != killed.pid && now.state == "ready")
        };
        wait_until(&format!("{} is back", killed.id), limit, back).await
    }
}

fn kill(process: ModuleProcess) -> anyhow::Result<ModuleProcess> {
    let pid = process.pid.with_context(|| format!("{} does not run: {}", process.id, process.state))?;
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a process number")?;
    kill_process(pid, Signal::KILL).with_context(|| format!("{} cannot be killed", process.id))?;
    Ok(process)
}
