use bytes::{Bytes, BytesMut};
use http::{Method, Version};
use proptest::prelude::*;

use super::WireError;
use super::decode::{Decoder, Piece};
use super::head;

/// Takes a body apart that comes in pieces of `step` bytes: its data, its trailers, and what is left behind it.
fn decode(mut decoder: Decoder, bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize, Vec<u8>), WireError> {
    let (mut data, mut trailers) = (Vec::new(), 0);
    let mut buffer = BytesMut::new();
    let mut pieces = bytes.chunks(step.max(1));
    loop {
        match decoder.take(&mut buffer)? {
            Piece::Frame(frame) => match frame.into_data() {
                Ok(bytes) => data.extend(bytes),
                Err(frame) => trailers += frame.into_trailers().map_or(0, |fields| fields.len()),
            },
            Piece::End => break,
            Piece::More => {
                let Some(piece) = pieces.next() else {
                    decoder.closed()?;
                    break;
                };
                buffer.extend_from_slice(piece);
            }
        }
    }
    let rest = buffer.iter().copied().chain(pieces.flatten().copied()).collect();
    Ok((data, trailers, rest))
}

fn chunked(chunks: &[Vec<u8>], trailers: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        bytes.extend(format!("{:X}\r\n", chunk.len()).into_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(format!("0\r\n{trailers}\r\n").into_bytes());
    bytes
}

fn read(text: &str, method: &Method) -> Result<head::ReadHead, WireError> {
    let mut buffer = BytesMut::from(text);
    Ok(head::take(&mut buffer, method)?.expect("a whole head"))
}

#[test]
fn a_head_says_where_the_body_ends() {
    for (text, ends, keeps) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "Length(5)", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n", "Length(5)", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "None", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", "None", true),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", "None", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "Chunked(Size)", true),
        ("HTTP/1.1 200 OK\r\n\r\n", "UntilClosed", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nConnection: x, Close\r\n\r\n", "Length(1)", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n", "Length(1)", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\n", "Length(1)", true),
    ] {
        let head = read(text, &Method::GET).unwrap();
        assert_eq!((format!("{:?}", head.decoder).as_str(), head.keeps_alive), (ends, keeps), "{text:?}");
    }
    let head = read("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", &Method::HEAD).unwrap();
    assert!(head.decoder.has_ended());
    assert_eq!(head.response.version(), Version::HTTP_11);
}

#[test]
fn a_head_with_two_readings_is_refused() {
    for headers in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 5",
        "content-length: +5",
        "content-length: ",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "x: 1\r\n folded",
        "x : 1",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n");
        assert!(matches!(read(&text, &Method::GET), Err(WireError::Invalid(_))), "{headers:?}");
    }
    assert!(read("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &Method::GET).is_err());
}

#[test]
fn many_headers_are_read_and_too_many_refused() {
    let with = |count: usize| {
        let headers = (0..count).map(|n| format!("x-{n}: {n}\r\n")).collect::<Vec<_>>().concat();
        read(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n"), &Method::GET)
    };
    let head = with(200).unwrap();
    assert_eq!(head.response.headers().len(), 200);
    assert_eq!(head.response.headers()["x-199"], "199");
    assert!(matches!(with(257), Err(WireError::Invalid(_))));
}

#[test]
fn a_body_that_is_cut_short_is_no_body() {
    assert!(matches!(decode(Decoder::length(5), b"abc", 1), Err(WireError::Closed(_))));
    assert!(matches!(decode(Decoder::chunked(), b"5\r\nabc", 1), Err(WireError::Closed(_))));
    assert_eq!(decode(Decoder::UntilClosed, b"abc", 1).unwrap().0, b"abc");
}

#[test]
fn chunks_that_are_not_well_formed_are_refused() {
    for bytes in [
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "+1\r\nx\r\n",
        "1\nx\r\n0\r\n\r\n",
        "1\r\nxy\r\n",
        "00000000000000001\r\n",
    ] {
        assert!(
            matches!(decode(Decoder::chunked(), bytes.as_bytes(), 1), Err(WireError::Invalid(_))),
            "{bytes:?}"
        );
    }
}

proptest! {
    #[test]
    fn what_was_put_in_chunks_comes_out(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
        step in 1_usize..60,
        with_trailers: bool,
    ) {
        let mut bytes = chunked(&chunks, if with_trailers { "x-a: 1\r\nx-b: 2\r\n" } else { "" });
        bytes.extend(b"next");
        let (data, trailers, rest) = decode(Decoder::chunked(), &bytes, step).unwrap();
        prop_assert_eq!(data, chunks.concat());
        prop_assert_eq!(trailers, if with_trailers { 2 } else { 0 });
        prop_assert_eq!(rest, b"next");
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1_usize..40) {
        let _ = decode(Decoder::chunked(), &bytes, step);
        let _ = head::take(&mut BytesMut::from(&bytes[..]), &Method::GET);
        let text = Bytes::from([b"HTTP/1.1 200 OK\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat());
        let _ = head::take(&mut BytesMut::from(text), &Method::GET);
    }
}
