//! Whose patience ends first.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use trellis_core::{Error, codes};
use trellis_net::cluster::Flight;
use trellis_net::{Client, Cluster, Progress};

/// The wait for one answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// For the answer to begin.
    pub(super) deadline: Instant,
    /// What the service has of it.
    had: Duration,
    /// It is the client that does not wait longer, not the route.
    of_client: bool,
}

impl Wait {
    /// The shorter of what the route and the client allow, from `start`; the service is asked at `asked`. TRL1012 if the
    /// client's time is over by then, TRL1006 if it is the route's.
    pub(super) fn new(
        start: Instant,
        asked: Instant,
        route: Duration,
        client: Option<Duration>,
    ) -> Result<Self, Error> {
        let (within, of_client) = match client {
            Some(client) if client < route => (client, true),
            _ => (route, false),
        };
        let deadline = start + within;
        let had = deadline.saturating_duration_since(asked);
        match (had.is_zero(), of_client) {
            (true, true) => Err(over()),
            (true, false) => Err(Error::new(codes::UPSTREAM_TIMEOUT, "no time was left to ask the service")),
            (false, _) => Ok(Self { deadline, had, of_client }),
        }
    }

    /// Waits for `work`; `None` if its time is over first.
    pub(super) async fn until<T>(self, client: &Arc<Client>, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut alarm) = (pin!(work), client.alarm(self.deadline));
        std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => Pin::new(&mut alarm).poll(cx).map(|()| None),
        })
        .await
    }

    /// Says who was late: the client, which sends slowly or allows a millisecond and must not open a breaker for
    /// everybody, or the service.
    pub(super) fn late(self, cluster: &Cluster, flight: Flight, upload: &Progress) -> Error {
        if self.of_client {
            return over();
        }
        if upload.is_waiting() {
            return Error::new(codes::CLIENT_TIMEOUT, "the request's body did not arrive in time");
        }
        cluster.late(flight, cluster.is_long(self.had))
    }
}

fn over() -> Error {
    Error::new(codes::DEADLINE_EXCEEDED, "the time that the request allows for its answer is over")
}
