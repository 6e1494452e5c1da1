//! Serving connections that are not HTTP.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::warn;
use trellis_runtime::Shutdown;

use super::accept::{self, Accepted};
use super::drain::{Drain, Place, Wanted};
use super::turns::Turns;

/// Hands each connection to `talk` until `shutdown`; then those that are open have `drain` to end. `slots` bounds how
/// many are open at once.
pub async fn serve_raw<F>(
    listener: TcpListener,
    slots: Arc<Semaphore>,
    drain: Duration,
    shutdown: Shutdown,
    talk: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let open = Drain::default();
    let mut take = |accepted: Accepted| {
        let Accepted { stream, peer, slot } = accepted;
        let (talking, place) = (talk(stream, peer), open.place());
        tokio::spawn(async move {
            until_abandoned(talking, place).await;
            drop(slot);
        });
    };
    accept::until(&listener, &slots, &Turns::new(1).of(0), shutdown.triggered(), &mut take).await;
    accept::rest(&listener, &slots, take);
    drop(listener);
    if tokio::time::timeout(drain, open.all()).await.is_err() {
        warn!(after = ?drain, "connections still open at the end of the drain are closed");
        open.abandon();
    }
}

/// Nothing tells such a connection to finish; it ends by itself, or is cut off.
async fn until_abandoned(talking: impl Future<Output = ()>, mut place: Place) {
    let mut talking = pin!(talking);
    poll_fn(|cx| match place.wanted(cx) {
        Wanted::Abandon => Poll::Ready(()),
        _ => talking.as_mut().poll(cx),
    })
    .await;
}
