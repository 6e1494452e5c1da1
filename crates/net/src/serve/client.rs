//! A client's connection, as the requests on it see it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

use super::Activity;

/// What is known of a client's connection.
#[derive(Debug)]
pub struct Client {
    /// The other end.
    pub peer: SocketAddr,
    /// The connection is over TLS.
    pub secure: bool,
    /// Of HTTP/1.1.
    activity: Activity,
    /// No request is taken after the next.
    finishing: AtomicBool,
    /// A timer that was used and may be used again.
    timer: Mutex<Option<Pin<Box<Sleep>>>>,
}

/// Ends at a given time. Requests follow each other on a connection, and each has a deadline that it rarely meets: to
/// move one timer on is much less work than to set up and take down one for each request.
#[derive(Debug)]
pub struct Alarm {
    client: Arc<Client>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Client {
    pub(super) fn new(peer: SocketAddr, secure: bool) -> Self {
        Self {
            peer,
            secure,
            activity: Activity::default(),
            finishing: AtomicBool::new(false),
            timer: Mutex::default(),
        }
    }

    pub(crate) fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Lets go of what only requests need.
    pub(super) fn let_go(&self) {
        *self.timer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn finish(&self) {
        self.finishing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.finishing.load(Ordering::Relaxed)
    }

    /// An alarm for `deadline`.
    pub fn alarm(self: &Arc<Self>, deadline: Instant) -> Alarm {
        let kept = self.timer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let sleep = match kept {
            Some(mut sleep) => {
                sleep.as_mut().reset(deadline);
                sleep
            }
            None => Box::pin(tokio::time::sleep_until(deadline)),
        };
        Alarm { client: Arc::clone(self), sleep: Some(sleep) }
    }
}

impl Alarm {
    /// Moves it to another time.
    pub fn reset(&mut self, deadline: Instant) {
        if let Some(sleep) = &mut self.sleep {
            sleep.as_mut().reset(deadline);
        }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // On HTTP/2 several requests put theirs back; one is kept.
        *self.client.timer.lock().unwrap_or_else(PoisonError::into_inner) = self.sleep.take();
    }
}
