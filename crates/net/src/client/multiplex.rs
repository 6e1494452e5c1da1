//! HTTP/2 connections to one upstream. One carries many requests, but all of them share its lock and its window; so
//! under load there are several.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tracing::debug;

use super::limit::Grant;
use super::{ConnectError, ConnectionLimit, PoolOptions, SendError, Stream};
use crate::Outgoing;

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Multiplexed {
    open: Mutex<Vec<Shared>>,
    /// Held while a connection is made, so that a burst of requests makes one, not one each.
    making: tokio::sync::Mutex<()>,
}

/// A connection, shared by its requests.
#[derive(Debug, Clone)]
struct Shared {
    sender: SendRequest<Outgoing>,
    streams: Arc<AtomicU32>,
}

/// A request's place on a connection.
#[derive(Debug)]
pub(super) struct Place {
    sender: SendRequest<Outgoing>,
    pub(super) count: StreamCount,
    pub(super) reused: bool,
}

/// Counts a request as being on its connection until dropped.
#[derive(Debug)]
pub(super) struct StreamCount(Arc<AtomicU32>);

const PING_INTERVAL: std::time::Duration = std::time::Duration::from_secs(20);

impl Multiplexed {
    /// A place on an open connection, if there is one that is not full.
    pub(super) fn take(&self, options: &PoolOptions) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|shared| !shared.sender.is_closed());
        let is_last = open.len() >= options.max_multiplexed.max(1);
        let least = open.iter().min_by_key(|shared| shared.load())?;
        (is_last || least.load() < options.streams_per_connection).then(|| least.place(true))
    }

    /// A place on whichever connection there is, however full.
    pub(super) fn share(&self) -> Option<Place> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.iter().filter(|shared| !shared.sender.is_closed());
        open.min_by_key(|shared| shared.load()).map(|least| least.place(true))
    }

    /// A place on a connection that is open by now, or on a new one.
    pub(super) async fn connect(
        &self,
        authority: &str,
        options: &PoolOptions,
        limit: Option<&Arc<ConnectionLimit>>,
    ) -> Result<Place, ConnectError> {
        let _making = self.making.lock().await;
        if let Some(place) = self.take(options) {
            return Ok(place);
        }
        let room = match limit.map(|limit| limit.room().ok_or(limit)) {
            None => None,
            Some(Ok(room)) => Some(room),
            // A connection of another worker is better than none.
            Some(Err(limit)) => match limit.find(|pool| pool.share()) {
                Some(place) => return Ok(place),
                None => match limit.wait(options.connect_timeout).await {
                    Some(Grant::Room(room)) => Some(room),
                    _ => return limit.find(|pool| pool.share()).ok_or_else(|| limit.refuse()),
                },
            },
        };
        let stream = Stream::connect(authority, options, room).await?;
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(false)
            .initial_connection_window_size(1 << 20)
            .max_header_list_size(u32::try_from(options.max_header_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_INTERVAL)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Handshake)?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                debug!(%error, "upstream connection ended");
            }
        });
        let shared = Shared { sender, streams: Arc::default() };
        let place = shared.place(false);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(shared);
        if let Some(limit) = limit {
            limit.wake();
        }
        Ok(place)
    }

    /// Closes what carries no request; the others close when their last one is done.
    pub(super) fn close(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Shared {
    fn load(&self) -> u32 {
        self.streams.load(Ordering::Relaxed)
    }

    fn place(&self, reused: bool) -> Place {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Place { sender: self.sender.clone(), count: StreamCount(Arc::clone(&self.streams)), reused }
    }
}

impl Place {
    /// Sends a request and waits for the head of the answer. What is left in `request`, whether this ends or is given
    /// up, is the request if it can be had again, or one whose body is [gone](Outgoing::gone).
    pub(super) async fn exchange(
        &mut self,
        request: &mut Request<Outgoing>,
    ) -> Result<Response<Incoming>, SendError> {
        let spare = again(request).unwrap_or_else(|| Request::new(Outgoing::gone()));
        let sent = std::mem::replace(request, spare);
        let mut error = match self.sender.try_send_request(sent).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        if let Some(unsent) = error.take_message() {
            *request = unsent;
            return Err(SendError::Unsent(error.into_error().into()));
        }
        Err(classified(error.into_error()))
    }
}

/// A second request like the first, if its body can be had twice.
fn again(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let mut spare = Request::new(request.body().again()?);
    *spare.method_mut() = request.method().clone();
    *spare.uri_mut() = request.uri().clone();
    *spare.version_mut() = request.version();
    *spare.headers_mut() = request.headers().clone();
    Some(spare)
}

fn classified(error: hyper::Error) -> SendError {
    if was_refused(&error) {
        SendError::Refused(error.into())
    } else if error.is_user() {
        SendError::Body(error.into())
    } else if error.is_parse() {
        SendError::Invalid(error.into())
    } else {
        SendError::Reset(error.into())
    }
}

impl Drop for StreamCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `REFUSED_STREAM`, or a stream beyond what a GOAWAY says was looked at: nothing was done.
fn was_refused(error: &hyper::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            return error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
                || error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        }
        next = cause.source();
    }
    false
}
