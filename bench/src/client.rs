//! A client with one connection of its own, kept alive from request to request.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// Largest answer that is read.
const MAX_ANSWER: usize = 64 << 20;

/// One client of one server. Requests go one after another.
pub struct Client {
    authority: String,
    timeout: Duration,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer. Whether the request took effect is not known, except after `Connect`.
#[derive(Debug)]
pub enum NoAnswer {
    /// No connection could be made.
    Connect(String),
    /// The connection broke, or what came is not HTTP.
    Broken(String),
    /// It took longer than the client waits.
    Timeout,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(cause) => write!(f, "no connection: {cause}"),
            Self::Broken(cause) => write!(f, "connection broke: {cause}"),
            Self::Timeout => f.write_str("no answer in time"),
        }
    }
}

impl std::error::Error for NoAnswer {}

impl Client {
    /// A client of `base` (`http://host:port`) that waits `timeout` for each whole answer. Connects when needed.
    pub fn new(base: &str, timeout: Duration) -> Self {
        let authority = base.strip_prefix("http://").unwrap_or(base).trim_end_matches('/').to_owned();
        Self { authority, timeout, connection: None }
    }

    /// Sends one request and reads the whole answer. A body is JSON unless `headers` say otherwise.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Answer, NoAnswer> {
        let answer = tokio::time::timeout(self.timeout, self.exchange(method, path, headers, body)).await;
        let answer = answer.unwrap_or(Err(NoAnswer::Timeout));
        if answer.is_err() {
            // Whatever comes on this connection now would be taken for the next request's answer.
            self.connection = None;
        }
        answer
    }

    /// Asks for JSON; anything but a 2xx answer is an error.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> anyhow::Result<(HeaderMap, T)> {
        let answer = self.send(Method::GET, path, &[], Bytes::new()).await?;
        anyhow::ensure!(answer.status.is_success(), "GET {path}: {}: {}", answer.status, answer.text());
        let value = serde_json::from_slice(&answer.body)
            .map_err(|error| anyhow::anyhow!("GET {path}: {error} in {}", answer.text()))?;
        Ok((answer.headers, value))
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Answer, NoAnswer> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.authority);
        if !body.is_empty() && headers.iter().all(|(name, _)| *name != CONTENT_TYPE) {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|e| NoAnswer::Connect(e.to_string()))?;

        let mut connection = match self.connection.take() {
            Some(kept) if kept.is_ready() => kept,
            _ => self.connect().await?,
        };
        let broken = |error: hyper::Error| NoAnswer::Broken(cause(&error));
        let (head, body) = connection.send_request(request).await.map_err(broken)?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| NoAnswer::Broken(error.to_string()))?.to_bytes();
        if connection.ready().await.is_ok() {
            self.connection = Some(connection);
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, NoAnswer> {
        let refused = |error: std::io::Error| NoAnswer::Connect(error.to_string());
        let stream = TcpStream::connect(&self.authority).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (connection, driver) = handshake.map_err(|error| NoAnswer::Connect(cause(&error)))?;
        // Ends by itself when `connection` is dropped or the server closes.
        tokio::spawn(driver);
        Ok(connection)
    }
}

/// hyper's own text leaves out the cause.
fn cause(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl Answer {
    /// How long the server asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// The start of the body, for a person.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

    /// A server that takes one connection for each list of answers, and closes it after the last.
    async fn server(connections: Vec<Vec<&'static [u8]>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answers in connections {
                let (mut stream, _) = listener.accept().await.unwrap();
                for answer in answers {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        base
    }

    async fn get(client: &mut Client) -> Result<String, NoAnswer> {
        client.send(Method::GET, "/", &[], Bytes::new()).await.map(|answer| answer.text())
    }

    #[tokio::test]
    async fn one_connection_carries_many_requests_and_is_made_again_when_it_breaks() {
        let base =
            server(vec![vec![OK, OK, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"], vec![OK]]).await;
        let mut client = Client::new(&base, Duration::from_secs(5));
        assert_eq!(get(&mut client).await.unwrap(), "hi");
        assert_eq!(get(&mut client).await.unwrap(), "hi");
        assert!(matches!(get(&mut client).await, Err(NoAnswer::Broken(_))));
        assert_eq!(get(&mut client).await.unwrap(), "hi");
    }

    #[tokio::test]
    async fn no_listener_is_told_apart_from_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = Client::new(&format!("http://{address}"), Duration::from_millis(50));
        assert!(matches!(get(&mut client).await, Err(NoAnswer::Timeout)));
        drop(listener);
        assert!(matches!(get(&mut client).await, Err(NoAnswer::Connect(_))));
    }
}
