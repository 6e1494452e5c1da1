//! One request, looked at closely: the load counts status codes only.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::load::{MESSAGE, METHOD};
use super::upstream::ANSWER;
use crate::client::Client;

/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Largest answer that is read.
const MAX_ANSWER: usize = 64 << 10;

/// The upstream's 50 bytes come through.
pub(super) async fn plain(address: SocketAddr, path: &str) -> Result<()> {
    let mut client = Client::new(&format!("http://{address}"), ANSWER_LIMIT);
    let answer = client.send(Method::GET, path, &[], Bytes::new()).await?;
    let good = answer.status == StatusCode::OK && answer.body == ANSWER.as_slice();
    ensure!(good, "GET {path}: {}: {}", answer.status, answer.text());
    Ok(())
}

/// A message comes back, and the trailers that end a call with it.
pub(super) async fn grpc(address: SocketAddr) -> Result<()> {
    tokio::time::timeout(ANSWER_LIMIT, call(address)).await.context("no answer in time")?
}

async fn call(address: SocketAddr) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    // Ends by itself when `sender` is dropped or the server closes.
    tokio::spawn(connection);
    let request = Request::post(format!("http://{address}{METHOD}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::new(Bytes::from_static(MESSAGE)))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    ensure!(head.status == StatusCode::OK, "{METHOD}: {}", head.status);
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| anyhow::anyhow!(error))?;
    let status = body.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
    ensure!(status.is_some_and(|status| status == "0"), "{METHOD}: no trailer that says grpc-status 0");
    ensure!(body.to_bytes() == MESSAGE, "{METHOD}: another message came back");
    Ok(())
}
