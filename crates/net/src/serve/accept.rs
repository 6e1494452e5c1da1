//! Accepting connections, never more than there are slots for.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::turns::Turn;
use super::{ACCEPT_PAUSE, QUIET};

/// A new connection; its slot is free again when this is dropped.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) slot: OwnedSemaphorePermit,
}

/// Hands every connection to `take` until `stop`.
pub(crate) async fn until(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    turn: &Turn,
    stop: impl Future<Output = ()>,
    take: &mut impl FnMut(Accepted),
) {
    let mut stop = pin!(stop);
    let mut last_failure = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => return,
            accepted = async {
                turn.comes().await;
                accept(listener, slots).await
            } => accepted,
        };
        match accepted {
            Ok(accepted) => take(accepted),
            Err(error) => {
                // Once for as long as it lasts, however often it is tried meanwhile.
                let lasts = last_failure.replace(Instant::now()).is_some_and(|at| at.elapsed() < QUIET);
                if !lasts {
                    warn!(%error, help = help(&error), "cannot accept a connection; those that come wait");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn help(error: &std::io::Error) -> Option<&'static str> {
    let errno = Errno::from_io_error(error)?;
    (errno == Errno::MFILE).then_some(
        "this process has as many files open as it may: raise the limit (ulimit -Hn, LimitNOFILE of systemd), or \
         lower max_connections",
    )
}

/// Hands over what is left in the listener's queue.
pub(crate) fn rest(listener: &TcpListener, slots: &Arc<Semaphore>, mut take: impl FnMut(Accepted)) {
    while let Some(Ok(accepted)) = accept(listener, slots).now_or_never() {
        take(accepted);
    }
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> std::io::Result<Accepted> {
    let slot = slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot set TCP_NODELAY");
    }
    Ok(Accepted { stream, peer, slot })
}
