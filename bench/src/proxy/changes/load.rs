//! An open loop: requests are sent at their rate, whatever the answers do. Latency is counted from when a request should
//! have been sent, so waiting for a connection, and being late, is part of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::tally::{Failure, Tally};
use crate::connection::{Broken, Connection};

pub(super) use super::tally::Seen;

/// Requests under way at once. One that finds as many has failed.
const MOST: u32 = 4096;
/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A load at work. Dropping it ends it.
pub(super) struct Load {
    shared: Arc<Shared>,
    clock: JoinSet<()>,
}

struct Shared {
    address: SocketAddr,
    /// Prefixes that are asked for in turn.
    prefixes: u64,
    connections: usize,
    began: Instant,
    stop: AtomicBool,
    under_way: Arc<Semaphore>,
    pool: Mutex<Pool>,
    tally: Tally,
}

#[derive(Default)]
struct Pool {
    /// The one that has waited longest comes first, so that all of them are used.
    quiet: VecDeque<Connection>,
    /// Quiet ones and those in use.
    open: usize,
}

/// GET and POST in turn. What is answered has to be what was asked: the path, or the body.
struct Request {
    number: u64,
    path: String,
    is_post: bool,
}

impl Load {
    /// Begins to send `rate` requests a second, for `prefixes` prefixes in turn.
    pub(super) fn start(address: SocketAddr, rate: u32, connections: usize, prefixes: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            address,
            prefixes: prefixes as u64,
            connections,
            began: Instant::now(),
            stop: AtomicBool::new(false),
            under_way: Arc::new(Semaphore::new(MOST as usize)),
            pool: Mutex::default(),
            tally: Tally::new()?,
        });
        let mut clock = JoinSet::new();
        clock.spawn(send(shared.clone(), rate));
        Ok(Self { shared, clock })
    }

    /// Sends nothing more, waits for what is under way, and tells what was seen.
    pub(super) async fn finish(mut self) -> Result<Seen> {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clock.join_next().await {
            ended.context("the load failed")?;
        }
        // All permits are back when all requests have ended, and each has its time limit.
        let _all = self.shared.under_way.acquire_many(MOST).await?;
        self.shared.tally.lock().take()
    }
}

async fn send(shared: Arc<Shared>, rate: u32) {
    for number in 0.. {
        let due = shared.began + Duration::from_secs_f64(number as f64 / f64::from(rate.max(1)));
        sleep_until(due).await;
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let request = Request::new(number, shared.prefixes);
        match Arc::clone(&shared.under_way).try_acquire_owned() {
            Ok(permit) => {
                tokio::spawn(one(Arc::clone(&shared), request, due, permit));
            }
            Err(_) => shared.failed(&request, due, None, Broken::new("send", "too many are under way")),
        }
    }
}

async fn one(shared: Arc<Shared>, request: Request, due: Instant, _permit: OwnedSemaphorePermit) {
    let kept = shared.kept();
    let mut carried = kept.as_ref().map(|connection| connection.carried);
    let asked = async {
        let mut connection = match kept {
            Some(connection) => connection,
            None => shared.open().await?,
        };
        carried = Some(connection.carried);
        let answer = connection.exchange(&request.bytes(shared.address)).await?;
        Ok((connection, answer))
    };
    let ended = timeout_at(due + ANSWER_LIMIT, asked).await;
    match ended.unwrap_or_else(|_| Err(Broken::new("read", "no answer in time"))) {
        Ok((connection, answer)) => {
            shared.give_back(connection, answer.is_last);
            if !(200..300).contains(&answer.status) {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                let cause = format!("{}\n{text}", answer.status);
                shared.failed(&request, due, carried, Broken::new("status", &cause));
            } else if answer.body != request.answer() {
                shared.failed(&request, due, carried, Broken::new("answer", "to another request"));
            } else {
                let post = request.is_post.then_some(request.number);
                shared.tally.lock().answered(due.elapsed(), post);
            }
        }
        Err(broken) => {
            shared.closed();
            shared.failed(&request, due, carried, broken);
        }
    }
}

impl Shared {
    /// A connection that waits, once there are as many as wanted. Either way, one more counts as open.
    fn kept(&self) -> Option<Connection> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        while pool.open >= self.connections {
            let Some(connection) = pool.quiet.pop_front() else { break };
            if connection.is_open() {
                return Some(connection);
            }
            pool.open -= 1;
            self.tally.lock().closed_unasked += 1;
        }
        pool.open += 1;
        None
    }

    async fn open(&self) -> Result<Connection, Broken> {
        let connection = Connection::open(self.address).await?;
        self.tally.lock().connections += 1;
        Ok(connection)
    }

    /// Those beyond the wanted number were made in a rush, and are not kept.
    fn give_back(&self, connection: Connection, is_last: bool) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if is_last || pool.open > self.connections {
            pool.open -= 1;
        } else {
            pool.quiet.push_back(connection);
        }
    }

    fn closed(&self) {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).open -= 1;
    }

    fn failed(&self, request: &Request, due: Instant, carried: Option<u64>, broken: Broken) {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        self.tally.lock().failed(Failure {
            at_ms: ms(due - self.began),
            after_ms: ms(due.elapsed()),
            request: format!("{} {}", request.method(), request.path),
            step: broken.step.into(),
            cause: broken.cause,
            carried,
        });
    }
}

impl Request {
    fn new(number: u64, prefixes: u64) -> Self {
        let path = format!("/r{:05}/{number}", number / 2 % prefixes.max(1));
        Self { number, path, is_post: number % 2 == 1 }
    }

    fn method(&self) -> &'static str {
        if self.is_post { "POST" } else { "GET" }
    }

    fn answer(&self) -> Vec<u8> {
        if self.is_post { self.number.to_string() } else { self.path.clone() }.into_bytes()
    }

    fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let (method, path) = (self.method(), &self.path);
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        if !self.is_post {
            return format!("{head}\r\n").into_bytes();
        }
        let (number, length) = (self.number, self.number.to_string().len());
        format!("{head}Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{number}").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers every third request with 503, and none of every fifth; how many there were.
    async fn unreliable() -> (SocketAddr, Arc<AtomicU64>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        let number = count.fetch_add(1, Ordering::Relaxed);
                        let text = String::from_utf8_lossy(&request);
                        if number % 5 == 4 {
                            return;
                        }
                        let status = if number % 3 == 2 { 503 } else { 200 };
                        let path = text.split(' ').nth(1).unwrap_or_default();
                        let length = path.len();
                        let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n");
                        stream.write_all(format!("{head}{path}").as_bytes()).await.unwrap();
                    }
                });
            }
        });
        (address, asked)
    }

    #[tokio::test]
    async fn every_request_is_sent_once_and_every_failure_is_told() {
        let (address, asked) = unreliable().await;
        let load = Load::start(address, 2000, 2, 1).unwrap();
        while asked.load(Ordering::Relaxed) < 60 {
            tokio::task::yield_now().await;
        }
        let seen = load.finish().await.unwrap();
        assert_eq!(seen.requests, asked.load(Ordering::Relaxed));
        let answered = seen.micros.len();
        assert_eq!(answered + seen.reasons.values().sum::<u64>(), seen.requests);
        // POST is answered with its path, which is not what was asked for.
        for reason in
            ["GET: read: closed before an answer", "GET: status: 503", "POST: answer: to another request"]
        {
            assert!(seen.reasons.contains_key(reason), "no {reason} in {:?}", seen.reasons);
        }
        assert!(answered > 0 && seen.connections > 2 && seen.posted.is_empty());
    }
}
