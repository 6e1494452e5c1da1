//! The body of an answer.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};

use super::WireError;

/// Takes a body apart.
#[derive(Debug)]
pub(super) enum Decoder {
    /// There is none, or it has ended.
    None,
    /// So many bytes are left, and never none.
    Length(u64),
    /// See [`Chunk`].
    Chunked(Chunk),
    /// What comes until the connection is closed.
    UntilClosed,
}

/// Where in a chunked body (RFC 9112, section 7.1) we are.
#[derive(Debug)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// The CRLF after a chunk's data.
    DataEnd,
    Trailers,
}

/// What could be had from the buffer.
#[derive(Debug)]
pub(super) enum Piece {
    Frame(Frame<Bytes>),
    /// Nothing before more is read.
    More,
    End,
}

/// A chunk's size with its extensions, and all trailers together.
const MAX_SIZE_LINE: usize = 4 << 10;
const MAX_TRAILERS: usize = 64 << 10;
const MAX_TRAILER_FIELDS: usize = 64;

impl Decoder {
    pub(super) fn length(length: u64) -> Self {
        if length == 0 { Self::None } else { Self::Length(length) }
    }

    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    /// Whether the body has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunked(_) | Self::UntilClosed => SizeHint::default(),
        }
    }

    /// The next piece of the body from `buffer`.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Piece, WireError> {
        match self {
            Self::None => Ok(Piece::End),
            Self::UntilClosed | Self::Length(_) if buffer.is_empty() => Ok(Piece::More),
            Self::UntilClosed => Ok(Piece::data(buffer.split().freeze())),
            Self::Length(left) => {
                let here = (*left).min(buffer.len() as u64);
                *left -= here;
                if *left == 0 {
                    *self = Self::None;
                }
                Ok(Piece::data(buffer.split_to(here as usize).freeze()))
            }
            Self::Chunked(_) => self.take_chunk(buffer),
        }
    }

    /// The connection was closed: whether the body is whole.
    pub(super) fn closed(&mut self) -> Result<(), WireError> {
        match self {
            Self::None => Ok(()),
            Self::UntilClosed => {
                *self = Self::None;
                Ok(())
            }
            Self::Length(_) | Self::Chunked(_) => Err(WireError::Closed("the body of an answer")),
        }
    }

    fn take_chunk(&mut self, buffer: &mut BytesMut) -> Result<Piece, WireError> {
        loop {
            let Self::Chunked(at) = self else { return Ok(Piece::End) };
            match at {
                Chunk::Size => match size(buffer)? {
                    None => return Ok(Piece::More),
                    Some(0) => *at = Chunk::Trailers,
                    Some(size) => *at = Chunk::Data(size),
                },
                Chunk::Data(_) if buffer.is_empty() => return Ok(Piece::More),
                Chunk::Data(left) => {
                    let here = (*left).min(buffer.len() as u64);
                    *left -= here;
                    let whole = *left == 0;
                    let data = buffer.split_to(here as usize).freeze();
                    if whole {
                        *at = Chunk::DataEnd;
                        // What follows is often there already: then the end is known together with the last piece.
                        self.skip_data_end(buffer)?;
                    }
                    return Ok(Piece::data(data));
                }
                Chunk::DataEnd => {
                    if !self.skip_data_end(buffer)? {
                        return Ok(Piece::More);
                    }
                }
                Chunk::Trailers => {
                    let piece = trailers(buffer)?;
                    if !matches!(piece, Piece::More) {
                        *self = Self::None;
                    }
                    return Ok(piece);
                }
            }
        }
    }

    /// Skips the end of a chunk if it is there, and the end of the body if nothing but that is.
    fn skip_data_end(&mut self, buffer: &mut BytesMut) -> Result<bool, WireError> {
        match &buffer[..] {
            [b'\r', b'\n', ..] => {
                buffer.advance(2);
                if buffer.starts_with(b"0\r\n\r\n") {
                    buffer.advance(5);
                    *self = Self::None;
                } else {
                    *self = Self::chunked();
                }
                Ok(true)
            }
            [] | [b'\r'] => Ok(false),
            _ => Err(WireError::Invalid("a chunk does not end where it says")),
        }
    }
}

impl Piece {
    fn data(bytes: Bytes) -> Self {
        Self::Frame(Frame::data(bytes))
    }
}

fn size(buffer: &mut BytesMut) -> Result<Option<u64>, WireError> {
    let Some(end) = memchr::memchr(b'\n', &buffer[..buffer.len().min(MAX_SIZE_LINE)]) else {
        return if buffer.len() >= MAX_SIZE_LINE { Err(invalid_size()) } else { Ok(None) };
    };
    let line = buffer[..end].strip_suffix(b"\r").ok_or_else(invalid_size)?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 || digits > 16 || !matches!(line.get(digits), None | Some(b';' | b' ' | b'\t')) {
        return Err(invalid_size());
    }
    let text = std::str::from_utf8(&line[..digits]).map_err(|_| invalid_size())?;
    let size = u64::from_str_radix(text, 16).map_err(|_| invalid_size())?;
    buffer.advance(end + 1);
    Ok(Some(size))
}

/// The trailers, if they are all there; the end if there are none.
fn trailers(buffer: &mut BytesMut) -> Result<Piece, WireError> {
    if buffer.starts_with(b"\r\n") {
        buffer.advance(2);
        return Ok(Piece::End);
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let (length, fields) = match httparse::parse_headers(buffer, &mut fields) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) if buffer.len() < MAX_TRAILERS => return Ok(Piece::More),
        _ => return Err(WireError::Invalid("the trailers cannot be read")),
    };
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) else {
            return Err(WireError::Invalid("a trailer has bytes that it may not have"));
        };
        map.append(name, value);
    }
    buffer.advance(length);
    Ok(Piece::Frame(Frame::trailers(map)))
}

fn invalid_size() -> WireError {
    WireError::Invalid("a chunk's size is not a number")
}
