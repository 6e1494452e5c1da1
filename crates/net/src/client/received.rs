//! The body of an upstream's answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::Pool;
use super::h1::{Pumped, Wire};
use super::multiplex::StreamCount;
use crate::BoxError;
use crate::cluster::Attempt;

/// An answer on its way to whoever asked. Read to its end, it gives its connection back to the pool; dropped before, it
/// ends the connection, which tells the upstream that nobody is there any more.
#[derive(Debug)]
pub struct Received {
    carrier: Carrier,
    /// Counted as load until the end.
    attempt: Option<Attempt>,
}

#[derive(Debug)]
pub(super) enum Carrier {
    Wire(Box<Wire>, Arc<Pool>),
    Task(Pumped),
    /// Counted on its connection until the end.
    Stream(Incoming, #[expect(dead_code, reason = "counts until it is dropped")] StreamCount),
    /// It has ended.
    None,
}

impl Received {
    /// Gives the connection back at once if there is no body.
    pub(super) fn new(carrier: Carrier) -> Self {
        let mut received = Self { carrier, attempt: None };
        if received.is_end_stream() {
            received.finish();
        }
        received
    }

    pub(crate) fn counted(self, attempt: Attempt) -> Self {
        let attempt = Some(attempt).filter(|_| !matches!(self.carrier, Carrier::None));
        Self { attempt, ..self }
    }

    /// Gives back what was used, for the next request if it is fit for one.
    fn finish(&mut self) {
        if let Carrier::Wire(wire, home) = std::mem::replace(&mut self.carrier, Carrier::None)
            && wire.is_reusable()
        {
            home.put(wire);
        }
        self.attempt = None;
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame: Option<Result<_, BoxError>> = match &mut self.carrier {
            Carrier::Wire(wire, _) => ready!(wire.poll_body(cx)).map(|frame| frame.map_err(Into::into)),
            Carrier::Task(pumped) => ready!(pumped.poll(cx)).map(|frame| frame.map_err(Into::into)),
            Carrier::Stream(incoming, _) => {
                ready!(Pin::new(incoming).poll_frame(cx)).map(|frame| frame.map_err(Into::into))
            }
            Carrier::None => None,
        };
        match &frame {
            Some(Ok(_)) if !self.is_end_stream() => {}
            Some(Ok(_)) | None => self.finish(),
            Some(Err(_)) => {
                self.carrier = Carrier::None;
                self.attempt = None;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.carrier {
            Carrier::Wire(wire, _) => wire.has_ended(),
            Carrier::Task(_) => false,
            Carrier::Stream(incoming, _) => incoming.is_end_stream(),
            Carrier::None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.carrier {
            Carrier::Wire(wire, _) => wire.size_hint(),
            Carrier::Task(pumped) => pumped.size_hint(),
            Carrier::Stream(incoming, _) => incoming.size_hint(),
            Carrier::None => SizeHint::with_exact(0),
        }
    }
}
