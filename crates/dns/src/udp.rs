//! Questions as datagrams.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tracing::debug;
use trellis_core::error::Result;
use trellis_runtime::Shutdown;

use crate::answer::Transport;
use crate::service::Shared;
use crate::stats::add;

/// Before the next try after the system failed to give a datagram.
const PAUSE: Duration = Duration::from_millis(10);

/// Reads and answers, one datagram after the other; several of these share a socket. What comes meanwhile waits in the
/// socket, and the system drops what does not fit there.
pub(crate) async fn serve(socket: Arc<UdpSocket>, shared: Arc<Shared>, shutdown: Shutdown) -> Result<()> {
    let most = usize::from(shared.options.max_query_bytes);
    // One byte more, to tell those that are too long.
    let (mut packet, mut out) = (vec![0; most + 1], Vec::with_capacity(4096));
    let mut random = fastrand::Rng::new();
    loop {
        let came = tokio::select! {
            came = socket.recv_from(&mut packet) => came,
            () = shutdown.triggered() => return Ok(()),
        };
        let (len, from) = match came {
            Ok(came) => came,
            Err(error) => {
                debug!(%error, "no datagram");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let whole = packet.get(..len).filter(|_| len <= most && from.port() != 0);
        let Some(question) = whole else {
            add(&shared.counters.malformed);
            continue;
        };
        if !shared.answer(question, Transport::Udp, &mut random, &mut out) {
            continue;
        }
        // Whoever asked asks again; waiting for room would let others wait.
        match socket.try_send_to(&out, from) {
            Ok(_) => {}
            Err(error) => {
                add(&shared.counters.unsent);
                if error.kind() != io::ErrorKind::WouldBlock {
                    debug!(%error, %from, "an answer was not sent");
                }
            }
        }
    }
}
