//! The gateway that is changed: started, given another configuration, replaced by its successor.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use super::super::peers::is_live;
use super::super::session::Session;
use crate::child::{Child, free_addresses};
use crate::client::Client;
use crate::procs;

/// Longest wait for a change.
const LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked for.
const POLL: Duration = Duration::from_millis(2);

/// What `trellis gateway --json` says, in one line, when it takes requests.
#[derive(Deserialize)]
struct Summary {
    pid: u32,
    #[serde(rename = "gateway")]
    _gateway: String,
}

/// A gateway under load. Dropping it kills it and its successors: they are one process group.
pub(super) struct Gateway {
    pub(super) listen: SocketAddr,
    head: String,
    admin: Client,
    child: Child,
    log: PathBuf,
    /// Who carries requests now.
    pid: u32,
}

impl Gateway {
    /// Starts it with these clusters and routes; its log is in `folder`.
    pub(super) async fn start(session: &Session<'_>, folder: &Path, text: &str) -> Result<Self> {
        let [listen, admin] = free_addresses()?;
        let workers = session.options.workers;
        let head = format!(
            "[gateway]\nlisten = \"{listen}\"\nworkers = {workers}\naccess_log_sample = 0.001\n\n\
             [admin]\nlisten = \"{admin}\"\n\n"
        );
        let file = folder.join("trellis.toml");
        std::fs::write(&file, format!("{head}{text}"))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let file = file.display().to_string();
        let args = ["gateway", "-c", &file, "--json"];
        let mut child = Child::start("gateway", &session.options.programs.trellis, args, folder)?;
        child.ready(async || is_live(admin).await).await?;
        let log = folder.join("gateway.log");
        let mut gateway =
            Self { listen, head, admin: Client::new(&format!("http://{admin}"), LIMIT), pid: 0, child, log };
        gateway.pid = gateway.next().await?;
        Ok(gateway)
    }

    /// Exchanges the whole configuration for these clusters and routes.
    pub(super) async fn put(&mut self, text: &str) -> Result<()> {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/toml"))];
        let body = Bytes::from(format!("{}{text}", self.head));
        let answer = self.admin.send(Method::PUT, "/v1/gateway/config", &headers, body).await?;
        ensure!(answer.status.is_success(), "PUT /v1/gateway/config: {}: {}", answer.status, answer.text());
        Ok(())
    }

    /// Has a successor take over; returns when it says that it has begun, which is when the old one stops accepting.
    pub(super) async fn hand_over(&mut self) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process id")?, Signal::USR2).context("cannot send SIGUSR2")?;
        self.pid = self.next().await?;
        Ok(())
    }

    /// Waits until everyone but the one who carries requests has ended.
    pub(super) async fn alone(&self) -> Result<()> {
        let began = Instant::now();
        let others = || self.said().into_iter().filter(|pid| *pid != self.pid && procs::is_running(*pid));
        while others().next().is_some() {
            ensure!(began.elapsed() < LIMIT, "the old process runs on; {}", self.last_words());
            tokio::time::sleep(POLL).await;
        }
        ensure!(procs::is_running(self.pid), "the new process is gone; {}", self.last_words());
        Ok(())
    }

    /// The process that is the next to say it is ready.
    async fn next(&self) -> Result<u32> {
        let began = Instant::now();
        loop {
            if let Some(pid) = self.said().last()
                && *pid != self.pid
            {
                return Ok(*pid);
            }
            if self.pid != 0 && !procs::is_running(self.pid) {
                bail!("it ended before anybody took over; {}", self.last_words());
            }
            if began.elapsed() > LIMIT {
                bail!("nobody took over; {}", self.last_words());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The processes that have said that they are ready, in their order. Each writes its summary to the output that all
    /// share, where the log is, too.
    fn said(&self) -> Vec<u32> {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        summaries(&log)
    }

    pub(super) fn last_words(&self) -> String {
        self.child.last_words()
    }

    /// Ends it.
    pub(super) async fn stop(self) -> Result<()> {
        self.child.stop().await
    }
}

fn summaries(log: &str) -> Vec<u32> {
    let said = log.lines().filter_map(|line| serde_json::from_str::<Summary>(line).ok());
    said.map(|summary| summary.pid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_found_among_log_lines() {
        let log = [
            r#"{"level":"INFO","message":"listening","routes":1}"#,
            r#"{"pid":12,"gateway":"http://127.0.0.1:1","admin":"http://127.0.0.1:2","routes":1,"ready_ms":7}"#,
            r#"{"level":"INFO","message":"a new process has taken over","pid":15}"#,
            r#"{"pid":15,"gateway":"http://127.0.0.1:1","admin":"http://127.0.0.1:2","routes":1,"ready_ms":7}"#,
            r#"{"pid":16,"gateway":"http:"#,
        ];
        assert_eq!(summaries(&log.join("\n")), [12, 15]);
    }
}
