//! A strict look at HTTP/2 frames before they are parsed.
//!
//! The parser behind it takes every malformed frame for the same kind of error; RFC 9113 tells them apart, and clients
//! decide by the kind what to do next. And it answers any number of frames that ask for nothing but an answer; here
//! they are counted against the frames that bring work.

use super::Excess;

/// Follows one connection's frames from the client's preface on.
#[derive(Debug)]
pub(crate) struct Frames {
    state: State,
    /// Frames that bring no work, ahead of those that do.
    idle_frames: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes of the preface are to come.
    Preface(usize),
    Header,
    /// So many bytes of a frame are to come.
    Payload(usize),
}

/// What is wrong with a frame, by what a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// `FRAME_SIZE_ERROR`
    #[error("a frame has a length that its type cannot have")]
    Size,
    /// `FLOW_CONTROL_ERROR`
    #[error("a window is larger than windows can be")]
    Window,
    /// The connection is closed.
    #[error("too many frames that bring no work")]
    Flood(#[from] Excess),
}

/// A frame's length (3 bytes), type, flags and stream (RFC 9113, section 4.1).
const HEADER: usize = 9;
/// Settings that are known, and room for those to come; more is not sent by anybody.
const MAX_SETTINGS: usize = 64 * 6;
/// Frames without work that are taken in a row.
const MAX_IDLE_FRAMES: u32 = 1000;
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// Types of frames (RFC 9113, section 6).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
}

const ACK: u8 = 1;
const INITIAL_WINDOW_SIZE: u16 = 4;

impl Frames {
    pub(crate) fn new() -> Self {
        Self { state: State::Preface(crate::prefixed::Prefix::LENGTH), idle_frames: 0 }
    }

    /// How many of `bytes`, which begin where the last call left off, may be passed on; the rest is looked at again when
    /// there is more. A malformed frame is never passed on.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> (usize, Result<(), Malformed>) {
        let mut at = 0;
        loop {
            match self.state {
                State::Preface(left) | State::Payload(left) => {
                    let here = left.min(bytes.len() - at);
                    at += here;
                    self.state = match self.state {
                        _ if here == left => State::Header,
                        State::Preface(_) => State::Preface(left - here),
                        _ => State::Payload(left - here),
                    };
                    if here < left {
                        return (at, Ok(()));
                    }
                }
                State::Header => match self.header(&bytes[at..]) {
                    Ok(Some(length)) => {
                        at += HEADER;
                        self.state = State::Payload(length);
                    }
                    Ok(None) => return (at, Ok(())),
                    Err(malformed) => return (at, Err(malformed)),
                },
            }
        }
    }

    /// The length of the payload after the header that `bytes` begin with; `None` if more is needed to judge.
    fn header(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let Some((head, payload)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags) = (head[3], head[4]);
        let fits = match kind {
            kind::PRIORITY => length == 5,
            kind::RST_STREAM | kind::WINDOW_UPDATE => length == 4,
            kind::PING => length == 8,
            kind::GOAWAY => length >= 8,
            kind::SETTINGS if flags & ACK != 0 => length == 0,
            kind::SETTINGS => length.is_multiple_of(6) && length <= MAX_SETTINGS,
            _ => true,
        };
        if !fits {
            return Err(Malformed::Size);
        }
        if kind == kind::SETTINGS {
            let Some(settings) = payload.get(..length) else { return Ok(None) };
            settings.chunks_exact(6).try_for_each(setting)?;
        }
        self.count(kind, length)?;
        Ok(Some(length))
    }

    /// Work pays for what is no work.
    fn count(&mut self, kind: u8, length: usize) -> Result<(), Malformed> {
        match kind {
            kind::HEADERS => self.idle_frames = self.idle_frames.saturating_sub(1),
            kind::DATA if length > 0 => self.idle_frames = 0,
            // Whoever reads much gives much way: these are the work of the other direction.
            kind::WINDOW_UPDATE => {}
            _ => {
                self.idle_frames += 1;
                if self.idle_frames > MAX_IDLE_FRAMES {
                    return Err(Malformed::Flood(Excess));
                }
            }
        }
        Ok(())
    }
}

fn setting(entry: &[u8]) -> Result<(), Malformed> {
    let id = u16::from_be_bytes([entry[0], entry[1]]);
    let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
    if id == INITIAL_WINDOW_SIZE && value > MAX_WINDOW { Err(Malformed::Window) } else { Ok(()) }
}

impl Malformed {
    /// Frames that make the parser say the same: what stands for the malformed one.
    pub(crate) fn instead(self) -> &'static [u8] {
        match self {
            // A frame larger than any that we take.
            Self::Size => &[0xff, 0xff, 0xff, kind::DATA, 0, 0, 0, 0, 1],
            // The window of the connection, made larger than windows can be.
            Self::Window => &[0, 0, 4, kind::WINDOW_UPDATE, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff],
            Self::Flood(_) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// Feeds `bytes` in pieces of `step`; what was passed on, and how it ended.
    fn feed(bytes: &[u8], step: usize) -> (Vec<u8>, Result<(), Malformed>) {
        let (mut frames, mut passed, mut held) = (Frames::new(), Vec::new(), Vec::new());
        for piece in bytes.chunks(step.max(1)) {
            held.extend_from_slice(piece);
            let (vetted, result) = frames.scan(&held);
            passed.extend(held.drain(..vetted));
            if result.is_err() {
                return (passed, result);
            }
        }
        (passed, Ok(()))
    }

    #[test]
    fn frames_of_the_wrong_length_are_not_passed_on() {
        let good = [PREFACE, &frame(4, 0, &[]), &frame(1, 5, b"x"), &frame(0, 1, b"hello")].concat();
        for bad in [
            frame(6, 0, b"1234567"),
            frame(2, 0, b"1234"),
            frame(3, 0, b"123"),
            frame(8, 0, b"12345"),
            frame(7, 0, b"1"),
            frame(4, 0, b"12345"),
            frame(4, 1, b"123456"),
            frame(4, 0, &[0; 390]),
        ] {
            let bytes = [&good[..], &bad].concat();
            for step in [1, 3, 9, bytes.len()] {
                let (passed, result) = feed(&bytes, step);
                assert_eq!((passed.as_slice(), result), (good.as_slice(), Err(Malformed::Size)), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_window_has_a_largest_size() {
        let settings =
            |value: u32| [PREFACE, &frame(4, 0, &[&[0, 4], &value.to_be_bytes()[..]].concat())].concat();
        assert_eq!(feed(&settings(MAX_WINDOW), 5).1, Ok(()));
        assert_eq!(feed(&settings(MAX_WINDOW + 1), 5).1, Err(Malformed::Window));
    }

    #[test]
    fn floods_of_what_brings_no_work_end_the_connection() {
        let pings = frame(6, 0, b"12345678").repeat(MAX_IDLE_FRAMES as usize);
        let (_, fine) = feed(&[PREFACE, &pings].concat(), 4096);
        assert_eq!(fine, Ok(()));
        let (_, flood) = feed(&[PREFACE, &pings, &frame(4, 0, &[])].concat(), 4096);
        assert_eq!(flood, Err(Malformed::Flood(Excess)));
        let (_, work) = feed(&[PREFACE, &pings, &frame(0, 0, b"x"), &pings].concat(), 4096);
        assert_eq!(work, Ok(()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_pass_in_order(bytes in prop::collection::vec(any::<u8>(), 0..400), step in 1_usize..50) {
            let bytes = [PREFACE, &bytes].concat();
            let (passed, _) = feed(&bytes, step);
            prop_assert!(bytes.starts_with(&passed));
            let (whole, _) = feed(&bytes, bytes.len());
            prop_assert_eq!(passed, whole);
        }
    }
}
