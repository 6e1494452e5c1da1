//! Connections to one address.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;

use super::h1::{Exchanged, Wire, pump};
use super::limit::Grant;
use super::multiplex::{Multiplexed, Place};
use super::received::{Carrier, Received};
use super::{AskError, ConnectError, ConnectionLimit, PoolOptions, Protocol, SendError, Stream, Tunnel};
use crate::{Body, Outgoing};

/// Connections to one address, for one worker. Its lock is never held over an await, and with a pool for each worker
/// nobody waits for it.
#[derive(Debug)]
pub struct Pool {
    authority: Arc<str>,
    options: Arc<PoolOptions>,
    idle: Mutex<Vec<Idle>>,
    multiplexed: Multiplexed,
    limit: Option<Arc<ConnectionLimit>>,
}

#[derive(Debug)]
struct Idle {
    wire: Box<Wire>,
    since: Instant,
}

/// Leave to send one request.
#[derive(Debug)]
pub struct Lease {
    carrier: Leased,
    /// The connection has carried requests before, so the other side may have just given it up.
    pub reused: bool,
}

#[derive(Debug)]
enum Leased {
    Wire(Box<Wire>),
    Place(Place),
}

impl Lease {
    fn reused(wire: Box<Wire>) -> Self {
        Self { carrier: Leased::Wire(wire), reused: true }
    }
}

/// What came back.
#[derive(Debug)]
pub enum Reply {
    /// An answer.
    Answer(Response<Received>),
    /// The upstream took the change of protocol that the request asked for.
    Switched(Response<()>, Tunnel),
}

impl Pool {
    /// An empty pool for `authority` (`host:port`).
    pub fn new(authority: Arc<str>, options: Arc<PoolOptions>) -> Arc<Self> {
        Arc::new(Self::empty(authority, options, None))
    }

    /// An empty pool whose connections count towards `limit`, as those of other pools to the same address do.
    pub fn limited(
        authority: Arc<str>,
        options: Arc<PoolOptions>,
        limit: &Arc<ConnectionLimit>,
    ) -> Arc<Self> {
        let pool = Arc::new(Self::empty(authority, options, Some(Arc::clone(limit))));
        limit.join(Arc::downgrade(&pool));
        pool
    }

    fn empty(authority: Arc<str>, options: Arc<PoolOptions>, limit: Option<Arc<ConnectionLimit>>) -> Self {
        Self { authority, options, idle: Mutex::default(), multiplexed: Multiplexed::default(), limit }
    }

    /// Where it connects to.
    pub fn authority(&self) -> &Arc<str> {
        &self.authority
    }

    /// What is spoken there, and whether over TLS.
    pub fn options(&self) -> &PoolOptions {
        &self.options
    }

    /// A connection that is open, without waiting: the one used last, since it is the least likely to have been given up
    /// by the other side.
    pub fn take(&self) -> Option<Lease> {
        if self.options.protocol == Protocol::Http2 {
            let place = self.multiplexed.take(&self.options)?;
            return Some(Lease { reused: place.reused, carrier: Leased::Place(place) });
        }
        self.take_idle().map(Lease::reused)
    }

    pub(super) fn take_idle(&self) -> Option<Box<Wire>> {
        let mut idle = self.idle();
        loop {
            let Idle { mut wire, since } = idle.pop()?;
            if since.elapsed() < self.options.idle_timeout && wire.is_quiet() {
                return Some(wire);
            }
        }
    }

    /// A place on whichever HTTP/2 connection there is.
    pub(super) fn share(&self) -> Option<Place> {
        self.multiplexed.share()
    }

    /// A new connection, or for HTTP/2 a place on one.
    pub async fn connect(&self) -> Result<Lease, ConnectError> {
        if self.options.protocol == Protocol::Http2 {
            let place = self.multiplexed.connect(&self.authority, &self.options, self.limit.as_ref()).await?;
            return Ok(Lease { reused: place.reused, carrier: Leased::Place(place) });
        }
        let room = match self.limit.as_ref().map(|limit| limit.room().ok_or(limit)) {
            None => None,
            Some(Ok(room)) => Some(room),
            Some(Err(limit)) => match limit.wait(self.options.connect_timeout).await {
                Some(Grant::Room(room)) => Some(room),
                Some(Grant::Wire(wire)) => return Ok(Lease::reused(wire)),
                None => return Err(limit.refuse()),
            },
        };
        let stream = Stream::connect(&self.authority, &self.options, room).await?;
        let wire = Wire::new(stream, self.options.max_header_bytes);
        Ok(Lease { carrier: Leased::Wire(wire), reused: false })
    }

    /// A connection for something else than HTTP, which is the caller's own.
    pub async fn open(&self, limit: Duration) -> Result<Stream, ConnectError> {
        let options = PoolOptions { connect_timeout: limit, ..PoolOptions::clone(&self.options) };
        Stream::connect(&self.authority, &options, None).await
    }

    /// Sends one request and waits for the head of the answer. Over HTTP/1.1 its URI has only a path and query and it
    /// has a `Host`; over HTTP/2 its URI is whole. After a failure the request is as it was, but for a body that is a
    /// stream and has begun.
    pub async fn send(
        self: &Arc<Self>,
        lease: Lease,
        request: &mut Request<Outgoing>,
    ) -> Result<Reply, SendError> {
        let carrier = match lease.carrier {
            Leased::Place(mut place) => {
                let (head, incoming) = place.exchange(request).await?.into_parts();
                let carrier = Carrier::Stream(incoming, place.count);
                return Ok(Reply::Answer(Response::from_parts(head, Received::new(carrier))));
            }
            Leased::Wire(wire) => wire,
        };
        match carrier.exchange(request).await? {
            Exchanged::Switched(head, tunnel) => Ok(Reply::Switched(head, tunnel)),
            Exchanged::Answer(wire, head) => {
                let carrier = if wire.is_sending() {
                    let body = std::mem::replace(request.body_mut(), Outgoing::gone());
                    Carrier::Task(pump(wire, body, Arc::clone(self)))
                } else {
                    Carrier::Wire(wire, Arc::clone(self))
                };
                Ok(Reply::Answer(head.map(|()| Received::new(carrier))))
            }
        }
    }

    /// Sends a request that has its `Host` to the address, over a kept connection or a new one. It is sent once: who
    /// asks decides whether to ask again.
    pub async fn ask(self: &Arc<Self>, request: Request<Body>) -> Result<Response<Body>, AskError> {
        let lease = match self.take() {
            Some(lease) => lease,
            None => self.connect().await?,
        };
        match self.send(lease, &mut request.map(Outgoing::from)).await? {
            Reply::Answer(response) => Ok(response.map(Body::new)),
            Reply::Switched(..) => Err(AskError::Switched),
        }
    }

    /// Closes what is idle, so that a server that waits for its connections can stop.
    pub fn close_idle(&self) {
        self.idle().clear();
        self.multiplexed.close();
    }

    /// Closes what has been idle for too long, or was closed by the other side.
    pub fn sweep(&self) {
        let idle_timeout = self.options.idle_timeout;
        self.idle().retain_mut(|idle| idle.since.elapsed() < idle_timeout && idle.wire.is_quiet());
    }

    /// Connections now that carry no request, or are shared by any number of them.
    pub fn idle_connections(&self) -> usize {
        self.idle().len() + self.multiplexed.len()
    }

    pub(super) fn put(&self, wire: Box<Wire>) {
        let mut idle = self.idle();
        if idle.len() < self.options.max_idle {
            idle.push(Idle { wire, since: Instant::now() });
        }
        drop(idle);
        // Put down before it is offered: whoever begins to wait in between finds it there.
        if let Some(limit) = self.limit.as_ref().filter(|limit| limit.is_waited_for())
            && let Some(wire) = self.take_idle().and_then(|wire| limit.hand_over(wire))
        {
            self.idle().push(Idle { wire, since: Instant::now() });
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
