//! Watchers that share a connection, a stream each, and the one who reads for all of them: what a proxy or a gateway
//! does that follows many things.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::super::doors;
use super::frames::{self, Frame};
use super::{Told, WATCHED};

/// So much is read at once.
const READ: usize = 256 << 10;

/// How a registry tells what happens in a stream that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    /// As server-sent events: ours.
    Events,
    /// As messages of gRPC: etcd.
    Messages,
}

/// What a message is.
#[derive(Debug, PartialEq)]
enum Kind {
    SignOfLife,
    News,
}

/// One connection with its watchers.
pub(super) struct Streams {
    stream: TcpStream,
    speech: Speech,
    watchers: Vec<Watcher>,
    told: mpsc::Sender<Told>,
    began: mpsc::Sender<()>,
    /// Watchers that have heard something.
    begun: usize,
    /// What they hear of now.
    news: Bytes,
    /// How many have heard of it.
    heard: usize,
}

#[derive(Debug, Default)]
struct Watcher {
    /// What has come of a message that is not whole.
    part: BytesMut,
    begun: bool,
    /// It has heard of what they hear of now.
    has_heard: bool,
}

impl Speech {
    /// What asks for everything that happens to the watched service, in stream after stream.
    fn requests(self, address: SocketAddr, count: usize) -> Vec<u8> {
        let (authority, path) = (address.to_string(), doors::endpoints(WATCHED, None));
        let mut bytes = frames::preface();
        for stream in (1..).step_by(2).take(count) {
            let common = |method, path| {
                [(":method", method), (":scheme", "http"), (":path", path), (":authority", &*authority)]
            };
            match self {
                Self::Events => {
                    let headers = [&common("GET", &path)[..], &[("accept", "text/event-stream")]].concat();
                    frames::request(&mut bytes, stream, &headers, None);
                }
                Self::Messages => {
                    let more = [("content-type", "application/grpc"), ("te", "trailers")];
                    let headers = [&common("POST", doors::WATCH)[..], &more].concat();
                    let body = message(&doors::watch(WATCHED));
                    frames::request(&mut bytes, stream, &headers, Some(&body));
                }
            }
        }
        bytes
    }

    /// The length of the first message, if it is whole.
    fn first(self, bytes: &[u8]) -> Option<usize> {
        let length = match self {
            Self::Events => memchr::memmem::find(bytes, b"\n\n")? + 2,
            Self::Messages => {
                let (head, _) = bytes.split_first_chunk::<5>()?;
                5 + u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize
            }
        };
        (length <= bytes.len()).then_some(length)
    }

    fn kind(self, message: &[u8]) -> Result<Kind> {
        match self {
            Self::Events if message.starts_with(b":") => Ok(Kind::SignOfLife),
            Self::Events => {
                ensure!(memchr::memmem::find(message, b"\ndata: ").is_some(), "an event without data");
                Ok(Kind::News)
            }
            Self::Messages => {
                doors::judge_watch(&message[5..])?;
                Ok(Kind::News)
            }
        }
    }
}

impl Streams {
    /// `count` watchers; says so once all of them can wait.
    pub(super) fn new(
        stream: TcpStream,
        speech: Speech,
        count: usize,
        told: mpsc::Sender<Told>,
        began: mpsc::Sender<()>,
    ) -> Self {
        let watchers = (0..count).map(|_| Watcher::default()).collect();
        Self { stream, speech, watchers, told, began, begun: 0, news: Bytes::new(), heard: 0 }
    }

    /// Asks, and reads until nobody listens any more.
    pub(super) async fn follow(mut self, address: SocketAddr) -> Result<()> {
        self.stream.write_all(&self.speech.requests(address, self.watchers.len())).await?;
        let mut buffer = BytesMut::with_capacity(READ);
        loop {
            buffer.reserve(READ / 2);
            ensure!(self.stream.read_buf(&mut buffer).await? > 0, "the server has closed the connection");
            let at = Instant::now();
            let (mut read, mut answers) = (0, Vec::new());
            let mut heard = 0;
            while let Some((frame, length)) = frames::first(&buffer[read..])? {
                read += length;
                match frame {
                    Frame::Data { stream, payload } => heard += self.take(stream, payload)?,
                    Frame::Wants(bytes) => answers.extend(bytes),
                    Frame::Good { .. } | Frame::Nothing => {}
                }
            }
            buffer.advance(read);
            if !answers.is_empty() {
                self.stream.write_all(&answers).await?;
            }
            let told = Told { at, watchers: heard as u64, news: self.news.clone() };
            if heard > 0 && self.told.send(told).await.is_err() {
                return Ok(());
            }
        }
    }

    /// How many watchers have heard of something: one, or none.
    fn take(&mut self, stream: u32, payload: &[u8]) -> Result<usize> {
        let place = (stream as usize).checked_sub(1).context("data of no stream")? / 2;
        let watcher = self.watchers.get_mut(place).context("data of a stream that was not asked for")?;
        let speech = self.speech;
        if watcher.part.is_empty() && speech.first(payload) == Some(payload.len()) {
            return self.hear(place, payload);
        }
        watcher.part.extend_from_slice(payload);
        let mut heard = 0;
        while let Some(length) = self.watchers.get(place).and_then(|watcher| speech.first(&watcher.part)) {
            let Some(watcher) = self.watchers.get_mut(place) else { break };
            let message = watcher.part.split_to(length);
            heard += self.hear(place, &message)?;
        }
        Ok(heard)
    }

    fn hear(&mut self, place: usize, message: &[u8]) -> Result<usize> {
        if *message != *self.news {
            if self.speech.kind(message)? == Kind::SignOfLife {
                return Ok(0);
            }
            // Something new: there is that only once all have heard of the last.
            if self.begun == self.watchers.len() {
                let (heard, all) = (self.heard, self.watchers.len());
                let is_next = self.news.is_empty() || heard == all;
                ensure!(is_next, "{heard} of {all} watchers have heard of a change when the next comes");
                self.news = Bytes::copy_from_slice(message);
                self.heard = 0;
                self.watchers.iter_mut().for_each(|watcher| watcher.has_heard = false);
            }
        }
        let all = self.watchers.len();
        let watcher = self.watchers.get_mut(place).context("no such watcher")?;
        if !watcher.begun {
            watcher.begun = true;
            self.begun += 1;
            if self.begun == all {
                self.began.try_send(()).ok();
            }
            return Ok(0);
        }
        ensure!(self.begun == all, "a change before all watch");
        ensure!(!watcher.has_heard, "a watcher has heard of a change twice");
        watcher.has_heard = true;
        self.heard += 1;
        Ok(1)
    }
}

/// A message of gRPC, with its head: not compressed, and how long it is.
fn message(body: &[u8]) -> Vec<u8> {
    [&[0][..], &(body.len() as u32).to_be_bytes(), body].concat()
}
