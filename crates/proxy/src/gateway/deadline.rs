//! Whose patience ends first.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use trellis_core::{Error, codes};

use super::body::Upload;

/// How much longer than the gateway an upstream call waits, so that it is the gateway that finds out who is late: only
/// where it is the service does the call run into its own limit, which counts against the instance. A client that sends
/// slowly, or that allows a millisecond, must not open a breaker for everybody.
const SLACK: Duration = Duration::from_millis(20);

/// The waits for one answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// For the answer to begin.
    pub(super) within: Duration,
    /// It is the client that does not wait longer, not the route.
    of_client: bool,
}

impl Wait {
    /// The shorter of what the route and the client allow. TRL1012 if the client's time is over already.
    pub(super) fn new(route: Duration, client: Option<Duration>) -> Result<Self, Error> {
        match client {
            Some(Duration::ZERO) => Err(over()),
            Some(client) if client < route => Ok(Self { within: client, of_client: true }),
            _ => Ok(Self { within: route, of_client: false }),
        }
    }

    /// What to give the call that [`watch`](Self::watch) gets.
    pub(super) fn for_call(self) -> Duration {
        self.within + SLACK
    }

    /// Waits for `call`, and blames whoever is late if it does not come.
    pub(super) async fn watch<T>(
        self,
        upload: &Upload,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut call = pin!(call);
        let deadline = Instant::now() + self.within;
        tokio::select! {
            // Ours comes first: after a stall both may be over.
            biased;
            () = sleep_until(deadline) => {}
            answer = &mut call => return answer,
        }
        if self.of_client {
            return Err(over());
        }
        if upload.is_waiting() {
            return Err(Error::new(codes::CLIENT_TIMEOUT, "the request's body did not arrive in time"));
        }
        call.await
    }
}

fn over() -> Error {
    Error::new(codes::DEADLINE_EXCEEDED, "the time that the request allows for its answer is over")
}
