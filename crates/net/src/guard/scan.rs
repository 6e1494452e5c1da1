//! Where requests begin and end in a stream of bytes.

use super::Ambiguity;
use super::chunked::Chunks;

/// Follows one connection's requests. It only looks: the bytes stay where they are.
#[derive(Debug)]
pub(crate) struct Scanner {
    state: State,
    /// A head, or what there is of it, that came in more than one piece.
    pending: Vec<u8>,
    max_head: usize,
}

#[derive(Debug)]
enum State {
    /// Between two requests, or inside a head.
    Head,
    /// Inside a body; this many bytes are left.
    Body(u64),
    Chunked(Chunks),
    /// Not looked at any more: what follows is not HTTP/1.1, or is refused by the parser in any case.
    Opaque,
    Refused(Ambiguity),
}

/// What the client owes us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expects {
    /// It may be silent.
    Nothing,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}

/// What a head says about what comes after it.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    switches: bool,
}

impl Scanner {
    /// Heads longer than `max_head` bytes are left to the parser, which refuses them.
    pub(crate) fn new(max_head: usize) -> Self {
        Self { state: State::Head, pending: Vec::new(), max_head }
    }

    /// What is still to come of what has begun.
    pub(crate) fn expects(&self) -> Expects {
        match self.state {
            State::Head if !self.pending.is_empty() => Expects::Head,
            State::Body(_) | State::Chunked(_) => Expects::Body,
            _ => Expects::Nothing,
        }
    }

    /// Whether whatever has begun is complete, so that a new scanner would go on as well.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.state, State::Head) && self.pending.is_empty()
    }

    /// Looks at the next bytes. After a refusal there is no way back.
    pub(crate) fn scan(&mut self, mut bytes: &[u8]) -> Result<(), Ambiguity> {
        while !bytes.is_empty() {
            let seen = match &mut self.state {
                State::Head => self.head(bytes),
                State::Body(left) => {
                    let here = (*left).min(bytes.len() as u64);
                    *left -= here;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                    Ok(here as usize)
                }
                State::Chunked(chunks) => chunks.scan(bytes).map(|(seen, ended)| {
                    if ended {
                        self.state = State::Head;
                    }
                    seen
                }),
                State::Opaque => return Ok(()),
                State::Refused(why) => Err(*why),
            };
            match seen {
                Ok(seen) => bytes = &bytes[seen..],
                Err(why) => {
                    self.state = State::Refused(why);
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    /// Looks at a head, or a piece of one; returns how many bytes belong to it.
    fn head(&mut self, bytes: &[u8]) -> Result<usize, Ambiguity> {
        if self.pending.is_empty() {
            let Some((length, framing)) = read_head(bytes)? else {
                self.keep(bytes);
                return Ok(bytes.len());
            };
            self.state = framing.state();
            return Ok(length);
        }
        let before = self.pending.len();
        self.keep(bytes);
        if matches!(self.state, State::Opaque) {
            return Ok(bytes.len());
        }
        let Some((length, framing)) = read_head(&self.pending)? else { return Ok(bytes.len()) };
        self.state = framing.state();
        self.pending.clear();
        Ok(length.saturating_sub(before))
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.pending.len() + bytes.len() > self.max_head {
            self.state = State::Opaque;
            self.pending = Vec::new();
        } else {
            self.pending.extend_from_slice(bytes);
        }
    }
}

impl Framing {
    fn state(&self) -> State {
        match (self.switches, self.chunked, self.length) {
            (true, _, _) => State::Opaque,
            (_, true, _) => State::Chunked(Chunks::default()),
            (_, _, Some(length)) if length > 0 => State::Body(length),
            _ => State::Head,
        }
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Ambiguity> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Ambiguity::Folded);
        }
        let colon = memchr::memchr(b':', line).ok_or(Ambiguity::Name)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if matches!(name.last(), None | Some(b' ' | b'\t')) {
            return Err(Ambiguity::Name);
        }
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value.trim_ascii()),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.coding(value.trim_ascii()),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                // An offer of h2c is passed over, so what follows it is HTTP/1.1.
                self.switches |= !value.trim_ascii().eq_ignore_ascii_case(b"h2c");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Ambiguity> {
        if self.length.is_some() {
            return Err(Ambiguity::TwoLengths);
        }
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| digits);
        self.length = Some(text.and_then(|text| text.parse().ok()).ok_or(Ambiguity::Length)?);
        Ok(())
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Ambiguity> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Ambiguity::Coding);
        }
        self.chunked = true;
        Ok(())
    }
}

/// The length of the head at the beginning of `bytes` and what it says; `None` if it goes on. Empty lines before a
/// request are skipped, as RFC 9112, section 2.2 asks.
fn read_head(bytes: &[u8]) -> Result<Option<(usize, Framing)>, Ambiguity> {
    let mut framing = Framing::default();
    let mut at = 0;
    let mut in_headers = false;
    for end in memchr::memchr_iter(b'\n', bytes) {
        let line = bytes[at..end].strip_suffix(b"\r").ok_or(Ambiguity::BareLf)?;
        at = end + 1;
        if in_headers && line.is_empty() {
            if framing.chunked && framing.length.is_some() {
                return Err(Ambiguity::TwoFramings);
            }
            return Ok(Some((at, framing)));
        }
        if in_headers {
            framing.header(line)?;
        } else if !line.is_empty() {
            in_headers = true;
            framing.switches = line.starts_with(b"CONNECT ");
        }
    }
    Ok(None)
}
