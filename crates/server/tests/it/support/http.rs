//! Just enough of an HTTP client.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use super::DEADLINE;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Gets `url`.
pub(crate) fn get(url: &str) -> Answer {
    send("GET", url, &[])
}

/// Sends a request without a body.
pub(crate) fn send(method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
    read(begin(method, url, headers))
}

/// Sends a request with a body.
pub(crate) fn put(url: &str, content_type: &str, body: &str) -> Answer {
    with_body("PUT", url, content_type, body)
}

/// Sends a request with a body, by any method.
pub(crate) fn with_body(method: &str, url: &str, content_type: &str, body: &str) -> Answer {
    try_with_body(method, url, content_type, body).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// The same to who may have been killed.
pub(crate) fn try_with_body(
    method: &str,
    url: &str,
    content_type: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let length = body.len().to_string();
    let headers = [("content-type", content_type), ("content-length", &length)];
    let mut stream = try_begin(method, url, &headers)?;
    stream.write_all(body.as_bytes())?;
    try_read(stream)
}

/// Sends a request and does not wait for the answer.
pub(crate) fn begin(method: &str, url: &str, headers: &[(&str, &str)]) -> TcpStream {
    try_begin(method, url, headers).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn try_begin(method: &str, url: &str, headers: &[(&str, &str)]) -> std::io::Result<TcpStream> {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let host = [("host", authority)];
    let given = headers.iter().any(|(name, _)| *name == "host");
    let lines = headers
        .iter()
        .chain(host.iter().filter(|_| !given))
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let request =
        format!("{method} /{path} HTTP/1.1\r\nconnection: close\r\n{}\r\n", lines.collect::<String>());
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

/// The answer, which ends with the connection.
pub(crate) fn read(stream: TcpStream) -> Answer {
    try_read(stream).expect("an answer")
}

fn try_read(mut stream: TcpStream) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let cut_off = || std::io::Error::other(format!("not HTTP: {text:?}"));
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut_off)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut_off)?;
    Ok(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}
