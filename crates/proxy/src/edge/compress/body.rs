//! A body that is compressed as it goes by.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Encoder;

/// Most plain bytes that are compressed in one go.
const PIECE: usize = 16 << 10;
/// From this many compressed bytes on, a frame is sent.
const FULL: usize = 16 << 10;
/// Most plain bytes that are compressed before the task lets others run.
const TURN: usize = 128 << 10;
/// What a frame costs however small it is, counted in bytes.
const FRAME_COST: usize = 512;

pin_project! {
    /// The compressed form of a body. Asks for the next frame only when the one before has been compressed and taken,
    /// so whoever is slow holds the service back. When nothing more has come, what has is sent at once: a stream of
    /// events or lines is not held up.
    #[derive(Debug)]
    pub struct Compressed<B> {
        #[pin]
        inner: B,
        // Plain bytes that are still to be compressed: the rest of one frame.
        plain: Bytes,
        // Something was compressed that cannot be decoded yet from what was sent.
        held: bool,
        state: State,
    }
}

#[derive(Debug)]
enum State {
    Compressing(Encoder),
    /// The last bytes, and the trailers.
    Ending(Bytes, Option<HeaderMap>),
    Ended,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<B> Compressed<B> {
    /// Sends `inner` through an encoder that [`Compression::prepare`](super::Compression::prepare) gave.
    pub fn new(inner: B, encoder: Encoder) -> Self {
        Self { inner, plain: Bytes::new(), held: false, state: State::Compressing(encoder) }
    }
}

impl<B> Body for Compressed<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        let mut turn = TURN;
        loop {
            let encoder = match this.state {
                State::Compressing(encoder) => encoder,
                State::Ending(last, trailers) => {
                    let frame = if last.is_empty() {
                        let trailers = trailers.take();
                        *this.state = State::Ended;
                        trailers.map(Frame::trailers)
                    } else {
                        Some(Frame::data(std::mem::take(last)))
                    };
                    return Poll::Ready(frame.map(Ok));
                }
                State::Ended => return Poll::Ready(None),
            };
            if encoder.ready() >= FULL || (turn == 0 && encoder.ready() > 0) {
                return Poll::Ready(Some(Ok(Frame::data(encoder.take()))));
            }
            if turn == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !this.plain.is_empty() {
                let piece = this.plain.split_to(this.plain.len().min(PIECE));
                turn = turn.saturating_sub(piece.len());
                *this.held = true;
                if let Err(error) = encoder.write(&piece) {
                    *this.state = State::Ended;
                    return Poll::Ready(Some(Err(error.into())));
                }
                continue;
            }
            let trailers = match this.inner.as_mut().poll_frame(cx) {
                Poll::Pending => {
                    if !std::mem::take(this.held) {
                        return Poll::Pending;
                    }
                    if let Err(error) = encoder.flush() {
                        *this.state = State::Ended;
                        return Poll::Ready(Some(Err(error.into())));
                    }
                    return match encoder.take() {
                        nothing if nothing.is_empty() => Poll::Pending,
                        flushed => Poll::Ready(Some(Ok(Frame::data(flushed)))),
                    };
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        turn = turn.saturating_sub(FRAME_COST);
                        *this.plain = data;
                        continue;
                    }
                    Err(other) => other.into_trailers().ok(),
                },
                // Without the end of the compressed stream, what was sent does not look whole.
                Poll::Ready(Some(Err(error))) => {
                    *this.state = State::Ended;
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(None) => None,
            };
            *this.state = match end(std::mem::replace(this.state, State::Ended), trailers) {
                Ok(state) => state,
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Compressing(_) => false,
            State::Ending(last, trailers) => last.is_empty() && trailers.is_none(),
            State::Ended => true,
        }
    }

    /// Nobody knows.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn end(state: State, trailers: Option<HeaderMap>) -> std::io::Result<State> {
    match state {
        State::Compressing(encoder) => Ok(State::Ending(encoder.finish()?, trailers)),
        other => Ok(other),
    }
}
