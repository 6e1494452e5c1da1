//! What a client of Consul asks for when it wants a lock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::super::caller::Way;
use super::super::nodes::cluster::State;
use super::SPREAD_LIMIT;
use crate::client::{Answer, Client};

/// How long a client waits for an answer; a third of a session's time, so that it can ask somebody else.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long a session lasts that nobody renews: the shortest there is.
pub(super) const TTL: Duration = Duration::from_secs(10);
/// The node that the sessions are of. It stays, whatever becomes of the platform's own.
const NODE: &str = "fighters";

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

/// Has the node of the sessions known everywhere.
pub(super) async fn announce_fighters(node: &State) -> Result<()> {
    let mut calls = Calls::to(node)?;
    let began = Instant::now();
    let body = json!({"Node": NODE, "Address": "10.9.9.9"});
    while let Err(error) = calls.put("/v1/catalog/register", &body.to_string()).await {
        ensure!(began.elapsed() < SPREAD_LIMIT, "the fighters' node is not taken: {error:#}");
    }
    Ok(())
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

    /// A new session: its id.
    pub(super) async fn begin(&mut self, lock_delay: Duration) -> Result<String> {
        #[derive(Deserialize)]
        struct Made {
            #[serde(rename = "ID")]
            id: String,
        }
        let delay = format!("{}ms", lock_delay.as_millis());
        let body = json!({"Node": NODE, "TTL": format!("{}s", TTL.as_secs()), "LockDelay": delay});
        let answer = self.put("/v1/session/create", &body.to_string()).await?;
        Ok(serde_json::from_slice::<Made>(&answer.body)?.id)
    }

    /// Starts a session's time again; false if there is no such session.
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
