//! What a client of Consul asks for when it wants a lock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use trellis_testkit::Bond;

use super::super::caller::Way;
use super::super::nodes::cluster::State;
use super::{POLL, RESUME_LIMIT, SPREAD_LIMIT};
use crate::client::{Answer, Client};

/// How long a client waits for an answer; a third of a session's time, so that it can ask somebody else.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long a session lasts that nobody renews: the shortest there is.
pub(super) const TTL: Duration = Duration::from_secs(10);
/// The check of a node that says whether its platform is there.
const NODE_CHECK: &str = "serfHealth";

/// A client of one node, with a connection of its own.
pub(super) struct Calls {
    address: SocketAddr,
    client: Client,
}

/// A lock as it is told of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Locked {
    pub(super) lock_index: u64,
    #[serde(default)]
    pub(super) session: Option<String>,
}

/// What a session depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// It ends by time.
    pub(super) timed: bool,
    /// It depends on the health of its node.
    pub(super) checked: bool,
}

/// Waits until `node` takes sessions of the node `of` that depend on its health.
pub(super) async fn knows(node: &State, of: &str) -> Result<()> {
    let mut calls = Calls::to(node)?;
    let began = Instant::now();
    loop {
        match calls.begin(Kind { timed: false, checked: true }, of, Duration::ZERO).await {
            Ok(session) => return calls.end(&session).await,
            Err(error) => ensure!(began.elapsed() < SPREAD_LIMIT, "no session of {of} is taken: {error:#}"),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until `node` counts itself one of those that share the database.
pub(super) async fn is_member(node: &State) -> Result<()> {
    let mut client = Client::new(&format!("http://{}", node.address(Way::Native)?), PATIENCE);
    let began = Instant::now();
    loop {
        // Whatever else may be wrong with it is not asked here.
        let answer = client.send(Method::GET, "/health", &[], Bytes::new()).await;
        let health = answer.ok().and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok());
        if health.as_ref().is_some_and(|health| health["membership"] == "OK") {
            return Ok(());
        }
        ensure!(began.elapsed() < RESUME_LIMIT, "a node does not come back: {health:?}");
        tokio::time::sleep(POLL).await;
    }
}

impl Kind {
    /// All, so that any two that follow each other have little in common.
    pub(super) const ALL: [Self; 4] = [
        Self { timed: true, checked: true },
        Self { timed: false, checked: false },
        Self { timed: true, checked: false },
        Self { timed: false, checked: true },
    ];

    /// What such a session of `node` lasts as long as. Its time goes on elsewhere if its node goes away.
    pub(super) fn bond(self, node: &str) -> Bond {
        match self {
            Self { timed: true, .. } => Bond::Time(TTL),
            Self { checked: true, .. } => Bond::Node(node.to_owned()),
            _ => Bond::Nothing,
        }
    }
}

impl Calls {
    pub(super) fn to(node: &State) -> Result<Self> {
        let address = node.address(Way::Consul)?;
        Ok(Self { address, client: Client::new(&format!("http://{address}"), PATIENCE) })
    }

    /// Whether the node is still there.
    pub(super) fn is_of(&self, node: &State) -> bool {
        node.address(Way::Consul).is_ok_and(|address| address == self.address)
    }

    /// A new session of `node`: its id.
    pub(super) async fn begin(&mut self, kind: Kind, node: &str, lock_delay: Duration) -> Result<String> {
        #[derive(Deserialize)]
        struct Made {
            #[serde(rename = "ID")]
            id: String,
        }
        let delay = format!("{}ms", lock_delay.as_millis());
        let checks: &[&str] = if kind.checked { &[NODE_CHECK] } else { &[] };
        let ttl = if kind.timed { TTL } else { Duration::ZERO };
        let ttl = format!("{}s", ttl.as_secs());
        let body = json!({"Node": node, "Checks": checks, "TTL": ttl, "LockDelay": delay});
        let answer = self.put("/v1/session/create", &body.to_string()).await?;
        Ok(serde_json::from_slice::<Made>(&answer.body)?.id)
    }

    /// Starts a session's time again, if it has one; false if there is no such session.
    pub(super) async fn renew(&mut self, session: &str) -> Result<bool> {
        let answer = self.send(Method::PUT, &format!("/v1/session/renew/{session}"), "").await?;
        match answer.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => bail!("{status}: {}", answer.text()),
        }
    }

    pub(super) async fn end(&mut self, session: &str) -> Result<()> {
        self.put(&format!("/v1/session/destroy/{session}"), "").await.map(drop)
    }

    /// Whether the session has the lock now.
    pub(super) async fn acquire(&mut self, lock: usize, session: &str) -> Result<bool> {
        self.put(&format!("{}?acquire={session}", path(lock)), session).await?.is_true()
    }

    /// Whether the session had it, and has it no more.
    pub(super) async fn release(&mut self, lock: usize, session: &str) -> Result<bool> {
        self.put(&format!("{}?release={session}", path(lock)), session).await?.is_true()
    }

    /// The lock as this node knows it, or as it is now.
    pub(super) async fn look(&mut self, lock: usize, consistent: bool) -> Result<Option<Locked>> {
        let query = if consistent { "?consistent" } else { "" };
        let answer = self.send(Method::GET, &format!("{}{query}", path(lock)), "").await?;
        match answer.status {
            StatusCode::OK => {
                let found: Vec<Locked> = serde_json::from_slice(&answer.body)?;
                Ok(Some(found.into_iter().next().context("no lock in the answer")?))
            }
            StatusCode::NOT_FOUND => Ok(None),
            status => bail!("{status}: {}", answer.text()),
        }
    }

    async fn put(&mut self, path: &str, body: &str) -> Result<Answer> {
        let answer = self.send(Method::PUT, path, body).await?;
        ensure!(answer.status.is_success(), "{}: {}", answer.status, answer.text());
        Ok(answer)
    }

    async fn send(&mut self, method: Method, path: &str, body: &str) -> Result<Answer> {
        Ok(self.client.send(method, path, &[], Bytes::copy_from_slice(body.as_bytes())).await?)
    }
}

impl Answer {
    fn is_true(&self) -> Result<bool> {
        match self.text().trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => bail!("neither true nor false: {other}"),
        }
    }
}

fn path(lock: usize) -> String {
    format!("/v1/kv/locks/{lock}")
}
