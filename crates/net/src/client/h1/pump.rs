//! A connection with a task of its own.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use super::WireError;
use super::wire::Wire;
use crate::Outgoing;
use crate::client::Pool;

/// The answer's body, from the task.
#[derive(Debug)]
pub(in crate::client) struct Pumped {
    frames: mpsc::Receiver<Result<Frame<Bytes>, WireError>>,
    hint: SizeHint,
}

/// Frames that wait for the reader.
const AHEAD: usize = 4;

/// Goes on in a task: for a request whose body is still being sent while its answer comes, since then neither may wait
/// for whoever reads or writes the other.
pub(in crate::client) fn pump(wire: Box<Wire>, body: Outgoing, home: Arc<Pool>) -> Pumped {
    let (sender, frames) = mpsc::channel(AHEAD);
    let hint = wire.size_hint();
    tokio::spawn(async move {
        let mut work = Work { wire, body, sender: PollSender::new(sender) };
        poll_fn(|cx| work.poll(cx)).await;
        if work.wire.is_reusable() {
            home.put(work.wire);
        }
    });
    Pumped { frames, hint }
}

struct Work {
    wire: Box<Wire>,
    body: Outgoing,
    sender: PollSender<Result<Frame<Bytes>, WireError>>,
}

impl Work {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut failed = None;
        let sent = match self.wire.poll_send(&mut self.body, cx) {
            Poll::Ready(Err(error @ WireError::Body(_))) => {
                failed = Some(error);
                Poll::Ready(())
            }
            // An upstream that does not read on may still say something.
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        };
        while !self.wire.has_ended() || failed.is_some() {
            // Nobody reads: the connection ends with us.
            if ready!(self.sender.poll_reserve(cx)).is_err() {
                return Poll::Ready(());
            }
            let frame = match failed.take() {
                Some(error) => Some(Err(error)),
                None => ready!(self.wire.poll_body(cx)),
            };
            let Some(frame) = frame else { break };
            let last = frame.is_err();
            if self.sender.send_item(frame).is_err() || last {
                return Poll::Ready(());
            }
        }
        self.sender.close();
        sent
    }
}

impl Pumped {
    pub(in crate::client) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        Pin::new(&mut self.frames).poll_recv(cx)
    }

    pub(in crate::client) fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
