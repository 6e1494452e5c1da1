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
    let length = body.len().to_string();
    let mut stream = begin(method, url, &[("content-type", content_type), ("content-length", &length)]);
    stream.write_all(body.as_bytes()).expect("the body can be written");
    read(stream)
}

/// Sends a request and does not wait for the answer.
pub(crate) fn begin(method: &str, url: &str, headers: &[(&str, &str)]) -> TcpStream {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(authority).unwrap_or_else(|error| panic!("{url}: {error}"));
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
    let host = [("host", authority)];
    let given = headers.iter().any(|(name, _)| *name == "host");
    let lines = headers
        .iter()
        .chain(host.iter().filter(|_| !given))
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let request =
        format!("{method} /{path} HTTP/1.1\r\nconnection: close\r\n{}\r\n", lines.collect::<String>());
    stream.write_all(request.as_bytes()).expect("the request can be written");
    stream
}

/// The answer, which ends with the connection.
pub(crate) fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not HTTP: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
