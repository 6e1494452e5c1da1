//! As much of HTTP/2 as a client needs that opens streams and reads them: it costs little, so that what is measured is
//! the server. Whoever sends something else is not understood, and told so.

use anyhow::{Result, bail, ensure};

/// Bytes before the payload of every frame.
const HEAD: usize = 9;
/// Payloads are no longer than this, since nobody was allowed more.
const LONGEST: usize = 16 << 10;
/// How much may be sent before it is said that it was read: more than any run sends.
const WINDOW: u32 = (1 << 31) - 1;
/// What the window of a connection is at first.
const FIRST_WINDOW: u32 = 65_535;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// Nothing follows in this stream; of settings and pings: an answer.
const LAST: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// What a server says.
#[derive(Debug, PartialEq)]
pub(super) enum Frame<'b> {
    /// A part of an answer's body.
    Data { stream: u32, payload: &'b [u8] },
    /// The beginning of an answer.
    Good { stream: u32 },
    /// Wants these bytes to be sent back.
    Wants(Vec<u8>),
    /// Nothing to do.
    Nothing,
}

/// The first bytes of a client: nothing is pushed, and nobody waits for room.
pub(super) fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut settings = Vec::new();
    for (setting, value) in [(2_u16, 0_u32), (4, WINDOW)] {
        settings.extend(setting.to_be_bytes());
        settings.extend(value.to_be_bytes());
    }
    frame(&mut bytes, SETTINGS, 0, 0, &settings);
    frame(&mut bytes, WINDOW_UPDATE, 0, 0, &(WINDOW - FIRST_WINDOW).to_be_bytes());
    bytes
}

/// A request with these headers, pseudo-headers first; with a body, the stream stays open for more of it.
pub(super) fn request(bytes: &mut Vec<u8>, stream: u32, headers: &[(&str, &str)], body: Option<&[u8]>) {
    let mut block = Vec::new();
    for (name, value) in headers {
        // A literal that is not remembered, with a name that is not looked up (RFC 7541, section 6.2.2).
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    let last = if body.is_none() { LAST } else { 0 };
    frame(bytes, HEADERS, END_HEADERS | last, stream, &block);
    if let Some(body) = body {
        frame(bytes, DATA, 0, stream, body);
    }
}

/// The length of a text that is not compressed (RFC 7541, section 5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    const PREFIX: usize = 127;
    if length < PREFIX {
        block.push(length as u8);
        return;
    }
    block.push(PREFIX as u8);
    let mut rest = length - PREFIX;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    bytes.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
}

/// The first frame of `bytes` and its length, if it is whole. A stream that ends, or begins with anything but 200, is
/// an error.
pub(super) fn first(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>> {
    let Some((&head, rest)) = bytes.split_first_chunk::<HEAD>() else { return Ok(None) };
    let [a, b, c, kind, flags, stream @ ..] = head;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    ensure!(length <= LONGEST, "a frame of {length} bytes");
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
    let is_last = flags & LAST != 0;
    let found = match kind {
        DATA | HEADERS if flags & PADDED != 0 => bail!("padding"),
        DATA | HEADERS if is_last => {
            bail!("stream {stream} has ended: {}", String::from_utf8_lossy(payload))
        }
        DATA => Frame::Data { stream, payload },
        // `:status: 200`, which has a number of its own (RFC 7541, appendix A).
        HEADERS if payload.first() == Some(&0x88) => Frame::Good { stream },
        HEADERS => bail!("stream {stream} was answered with something else than 200: {payload:02x?}"),
        RESET => bail!("stream {stream} was reset: {payload:02x?}"),
        SETTINGS | PING if is_last => Frame::Nothing,
        SETTINGS => Frame::Wants(answer(SETTINGS, &[])),
        PING => Frame::Wants(answer(PING, payload)),
        GO_AWAY => bail!("the server ends the connection: {}", String::from_utf8_lossy(payload)),
        _ => Frame::Nothing,
    };
    Ok(Some((found, HEAD + length)))
}

fn answer(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, kind, LAST, 0, payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame(&mut bytes, kind, flags, stream, payload);
        bytes
    }

    #[test]
    fn a_frame_is_whole_or_not_yet() {
        let whole = framed(DATA, 0, 7, b"news");
        for end in 0..whole.len() {
            assert_eq!(first(&whole[..end]).unwrap(), None, "{end}");
        }
        let found = first(&[&whole[..], b"more"].concat()).unwrap().map(|(frame, length)| {
            assert_eq!(frame, Frame::Data { stream: 7, payload: b"news" });
            length
        });
        assert_eq!(found, Some(whole.len()));
    }

    #[test]
    fn what_is_asked_for_is_answered_and_an_end_is_an_error() {
        let (settings, _) =
            first(&framed(SETTINGS, 0, 0, b"")).unwrap().map(|(f, l)| (format!("{f:?}"), l)).unwrap();
        assert!(settings.starts_with("Wants"), "{settings}");
        assert_eq!(first(&framed(SETTINGS, LAST, 0, b"")).unwrap().unwrap().0, Frame::Nothing);
        let ping = framed(PING, 0, 0, b"12345678");
        assert_eq!(first(&ping).unwrap().unwrap().0, Frame::Wants(framed(PING, LAST, 0, b"12345678")));
        assert_eq!(
            first(&framed(HEADERS, END_HEADERS, 3, &[0x88])).unwrap().unwrap().0,
            Frame::Good { stream: 3 }
        );
        for end in [
            framed(DATA, LAST, 1, b""),
            framed(HEADERS, END_HEADERS, 1, &[0x8d]),
            framed(HEADERS, END_HEADERS | LAST, 1, &[0x88]),
            framed(RESET, 0, 1, &[0, 0, 0, 8]),
            framed(GO_AWAY, 0, 0, &[0; 8]),
        ] {
            assert!(first(&end).is_err(), "{end:?}");
        }
    }

    #[test]
    fn lengths_of_texts_are_written_as_they_are_read() {
        for (number, bytes) in
            [(0, vec![0]), (126, vec![126]), (127, vec![127, 0]), (300, vec![127, 0xad, 1])]
        {
            let mut block = Vec::new();
            length(&mut block, number);
            assert_eq!(block, bytes, "{number}");
        }
    }
}
