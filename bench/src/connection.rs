//! One connection of a load, down to the system calls: it costs little, and whoever fails is told what exactly happened.

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;

use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest answer.
pub(crate) const MAX_ANSWER: usize = 64 << 10;
/// Most header lines of one.
const MAX_HEADERS: usize = 64;

/// A connection that is used for one request after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Requests it has carried.
    pub(crate) carried: u64,
}

/// A whole answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Nothing more may be asked on this connection.
    pub(crate) is_last: bool,
}

/// What did not work, and why.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) step: &'static str,
    pub(crate) cause: String,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Broken> {
        let stream = TcpStream::connect(address).await.map_err(|error| Broken::new("connect", &error))?;
        stream.set_nodelay(true).map_err(|error| Broken::new("setsockopt", &error))?;
        Ok(stream.into())
    }

    /// Whether the server has neither closed it nor said anything unasked. Asks the kernel, not what this program has
    /// heard of it.
    pub(crate) fn is_open(&self) -> bool {
        let mut byte = [0];
        let peeked = rustix::net::recv(&self.stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }

    /// Sends `request` and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer, Broken> {
        self.stream.write_all(request).await.map_err(|error| Broken::new("write", &error))?;
        let mut read = Vec::with_capacity(512);
        loop {
            if let Some(answer) = parse(&read)? {
                self.carried += 1;
                return Ok(answer);
            }
            if read.len() > MAX_ANSWER {
                return Err(Broken { step: "answer", cause: "too large".into() });
            }
            let count = self.stream.read_buf(&mut read).await.map_err(|error| Broken::new("read", &error))?;
            if count == 0 {
                let cause = if read.is_empty() { "closed before an answer" } else { "closed in an answer" };
                return Err(Broken { step: "read", cause: cause.into() });
            }
        }
    }
}

impl From<TcpStream> for Connection {
    fn from(stream: TcpStream) -> Self {
        Self { stream, carried: 0 }
    }
}

impl Broken {
    pub(crate) fn new(step: &'static str, cause: &(impl Display + ?Sized)) -> Self {
        Self { step, cause: cause.to_string() }
    }
}

/// The answer that `read` is; none while it is not whole.
pub(crate) fn parse(read: &[u8]) -> Result<Option<Answer>, Broken> {
    let odd = |cause: String| Broken { step: "answer", cause };
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let start = match head.parse(read) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(odd(error.to_string())),
    };
    let find = |name: &str| {
        let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length = match head.code {
        // Never has a body, and says nothing of its length (RFC 9110, section 8.6).
        Some(204) => Some(0),
        _ => find("content-length").and_then(|length| length.parse::<usize>().ok()),
    };
    let length = length.ok_or_else(|| odd("without a length".into()))?;
    let body = &read[start..];
    if body.len() > length {
        return Err(odd("longer than it says".into()));
    }
    if body.len() < length {
        return Ok(None);
    }
    let is_last = find("connection").is_some_and(|word| word.eq_ignore_ascii_case("close"));
    Ok(Some(Answer { status: head.code.unwrap_or_default(), body: body.to_vec(), is_last }))
}

impl Display for Broken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.cause)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_is_whole_or_not_yet_or_never() {
        let whole = b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nhi";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]).unwrap(), None, "{end}");
        }
        let answer = parse(whole).unwrap().unwrap();
        assert_eq!((answer.status, answer.body.as_slice(), answer.is_last), (200, b"hi".as_slice(), true));
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert_eq!(parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap().status, 204);
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhi").is_err());
    }

    #[tokio::test]
    async fn a_connection_that_the_server_has_closed_is_seen_before_it_is_used() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        assert!(connection.is_open());
        drop(listener.accept().await.unwrap());
        assert!(!connection.is_open());
        let broken = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await.unwrap_err();
        assert_eq!((broken.step, broken.cause.as_str()), ("read", "closed before an answer"));
    }
}
