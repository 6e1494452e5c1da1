//! Asking a process whether it can serve.

use std::net::Ipv4Addr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most of an answer that is read: its head, and its body.
const HEAD_BYTES: usize = 16 << 10;
const BODY_BYTES: usize = 16 << 10;
/// Most of a refusal that is repeated.
const QUOTED_CHARS: usize = 200;

/// Asks `path` at `port` on 127.0.0.1. The error says, in words, why the answer is not 2xx or did not come in time.
pub(crate) async fn check(port: u16, path: &Uri, limit: Duration) -> Result<(), String> {
    match timeout(limit, ask(port, path)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("GET {path} did not answer within {limit:?}")),
    }
}

async fn ask(port: u16, path: &Uri) -> Result<(), String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| format!("no connection to port {port}: {error}"))?;
    let broken = |error: hyper::Error| format!("GET {path} failed: {error}");
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = Request::get(path.clone())
        .header(HOST, format!("127.0.0.1:{port}"))
        .header(USER_AGENT, "trellis-supervisor")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("GET {path} cannot be sent: {error}"))?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        // Read to its end, so that the other side does not see its connection break.
        let body = Limited::new(response.into_body(), BODY_BYTES).collect().await;
        if status.is_success() {
            return Ok(());
        }
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Err(format!("GET {path} answered {}{}", status.as_u16(), quote(&body)))
    };
    // An error of the connection is the exchange's as well.
    let (answer, _) = tokio::join!(exchange, connection);
    answer
}

/// The start of a body on one line.
fn quote(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return text;
    }
    let start: String = text.chars().filter(|c| !c.is_control()).take(QUOTED_CHARS).collect();
    format!(": {start}")
}
