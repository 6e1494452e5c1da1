use proptest::prelude::*;

use super::{Ambiguity, Scanner};

/// Scans in pieces of `step` bytes.
fn scan(bytes: &[u8], step: usize) -> Result<(), Ambiguity> {
    let mut scanner = Scanner::new(8192);
    bytes.chunks(step.max(1)).try_for_each(|piece| scanner.scan(piece))
}

fn refused(text: &str) -> Ambiguity {
    let whole = scan(text.as_bytes(), text.len()).expect_err(text);
    for step in 1..text.len() {
        assert_eq!(scan(text.as_bytes(), step), Err(whole), "{text:?} in pieces of {step}");
    }
    whole
}

const NEXT: &str = "GET /next HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn what_has_one_reading_passes() {
    for request in [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nContent-Length:5\r\n\r\na\nb\nc",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n3\r\na\nb\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nx-t: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\n\r\n",
    ] {
        let two = format!("{request}{NEXT}");
        for step in 1..=two.len() {
            assert_eq!(scan(two.as_bytes(), step), Ok(()), "{two:?} in pieces of {step}");
            // The second request was seen as one: a mistake in it is found.
            let bad = format!("{request}GET / HTTP/1.1\n");
            assert_eq!(scan(bad.as_bytes(), step), Err(Ambiguity::BareLf), "{bad:?} in pieces of {step}");
        }
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    use Ambiguity::{BareLf, Chunk, Coding, Folded, Length, Name, TwoFramings, TwoLengths};
    for (headers, why) in [
        ("content-length: 3\r\ncontent-length: 3\r\n\r\n", TwoLengths),
        ("content-length: 3, 3\r\n\r\n", Length),
        ("content-length: +3\r\n\r\n", Length),
        ("content-length: 0x3\r\n\r\n", Length),
        ("content-length:\r\n\r\n", Length),
        ("content-length: 99999999999999999999\r\n\r\n", Length),
        ("content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", TwoFramings),
        ("transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n", TwoFramings),
        ("transfer-encoding: gzip, chunked\r\n\r\n", Coding),
        ("transfer-encoding: identity\r\n\r\n", Coding),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", Coding),
        ("transfer-encoding: \x0bchunked\r\n\r\n", Coding),
        ("content-length : 3\r\n\r\n", Name),
        ("nonsense\r\n\r\n", Name),
        (": x\r\n\r\n", Name),
        ("x-a: 1\r\n  folded\r\n\r\n", Folded),
        ("x-a: 1\n\r\n", BareLf),
        ("x-a: 1\r\n\n", BareLf),
        ("transfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", BareLf),
        ("transfer-encoding: chunked\r\n\r\n3;x\nabc\r\n0\r\n\r\n", BareLf),
        ("transfer-encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n", Chunk),
        ("transfer-encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", Chunk),
        ("transfer-encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", Chunk),
        ("transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", Chunk),
        ("transfer-encoding: chunked\r\n\r\n00000000000000003\r\nabc\r\n0\r\n\r\n", Chunk),
        ("transfer-encoding: chunked\r\n\r\n0\r\nx: 1\n\r\n", BareLf),
        ("transfer-encoding: chunked\r\n\r\n0\r\n x: 1\r\n\r\n", Folded),
    ] {
        assert_eq!(refused(&format!("POST / HTTP/1.1\r\n{headers}")), why, "{headers:?}");
    }
    assert_eq!(refused("GET / HTTP/1.1\nhost: a\n\n"), BareLf);
}

#[test]
fn nothing_is_looked_at_after_a_change_of_protocol() {
    let tunnel = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\n\n\n";
    assert_eq!(scan(tunnel.as_bytes(), tunnel.len()), Ok(()));
}

#[test]
fn a_head_without_end_is_not_kept() {
    let mut scanner = Scanner::new(100);
    for _ in 0..1000 {
        scanner.scan(b"GET / HTTP/1.1").unwrap();
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived_in_any_pieces(bytes in prop::collection::vec(any::<u8>(), 0..300), step in 1_usize..40) {
        let _ = scan(&bytes, step);
    }

    #[test]
    fn pieces_make_no_difference(
        requests in prop::collection::vec((0_usize..4, prop::collection::vec(any::<u8>(), 0..20)), 1..5),
        bad: bool,
        step in 1_usize..200,
    ) {
        let mut bytes = Vec::new();
        for (kind, body) in requests {
            let length = body.len();
            match kind {
                0 => bytes.extend(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
                1 => {
                    bytes.extend(format!("PUT / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n").as_bytes());
                    bytes.extend(body);
                }
                _ => {
                    bytes.extend(b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
                    if length > 0 {
                        bytes.extend(format!("{length:x}\r\n").as_bytes());
                        bytes.extend(body);
                        bytes.extend(b"\r\n");
                    }
                    bytes.extend(b"0\r\n\r\n");
                }
            }
        }
        if bad {
            bytes.extend(b"GET / HTTP/1.1\n\n");
        }
        prop_assert_eq!(scan(&bytes, step).is_err(), bad);
    }
}
