//! `Forwarded` (RFC 7239).

use std::borrow::Cow;

use http::HeaderMap;
use http::header::FORWARDED;

use super::list::{IpText, address};
use super::{Claim, Seen, host, tls};

/// What an element says, counted from the end.
pub(super) fn nth_from_end(headers: &HeaderMap, place: usize) -> Option<Claim> {
    let lines = headers.get_all(FORWARDED).iter().rev();
    lines.flat_map(|line| Elements(Some(line.as_bytes()))).nth(place).map(read)
}

/// The element for what we saw: `for=10.0.0.1;proto=https;host="shop.example:8443"`.
pub(super) fn write(peer: Option<&IpText>, seen: &Seen) -> Vec<u8> {
    let mut element = b"for=".to_vec();
    match peer.map(IpText::as_bytes) {
        Some(peer) if peer.contains(&b':') => element.extend([b"\"[", peer, b"]\""].concat()),
        Some(peer) => element.extend(peer),
        None => element.extend(b"unknown"),
    }
    element.extend(if seen.tls { &b";proto=https"[..] } else { b";proto=http" });
    // A host that is none could end the quotes.
    if let Some(host) = seen.host.as_ref().and_then(|host_seen| host(host_seen.as_bytes())) {
        element.extend([b";host=\"", host.as_bytes(), b"\""].concat());
    }
    element
}

/// The elements of one line, from the last one on. They are found from the end, because only the end is by proxies of
/// ours: a quote that a client leaves open must not swallow what comes after it.
struct Elements<'h>(Option<&'h [u8]>);

impl<'h> Iterator for Elements<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        loop {
            let line = self.0.take()?;
            let mut quoted = false;
            let comma = (0..line.len()).rev().find(|at| {
                if line[*at] == b'"' {
                    let escapes = line[..*at].iter().rev().take_while(|byte| **byte == b'\\').count();
                    quoted ^= escapes % 2 == 0;
                }
                line[*at] == b',' && !quoted
            });
            let (rest, element) = comma.map_or((None, line), |at| (Some(&line[..at]), &line[at + 1..]));
            self.0 = rest;
            if !element.trim_ascii().is_empty() {
                return Some(element.trim_ascii());
            }
        }
    }
}

/// What cannot be read is not said.
fn read(element: &[u8]) -> Claim {
    let mut claim = Claim::default();
    for (name, value) in pairs(element) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("for") {
            claim.address = address(&value);
        } else if is("proto") {
            claim.tls = tls(&value);
        } else if is("host") {
            claim.host = host(&value);
        }
    }
    claim
}

/// `name=value`, with the quotes taken off.
fn pairs(element: &[u8]) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
    let mut quoted = false;
    let mut escaped = false;
    let parts = element.split(move |byte| {
        let plain = !std::mem::take(&mut escaped);
        quoted ^= plain && *byte == b'"';
        escaped = plain && quoted && *byte == b'\\';
        *byte == b';' && !quoted
    });
    parts.filter_map(|part| {
        let equals = part.iter().position(|byte| *byte == b'=')?;
        Some((part[..equals].trim_ascii(), unquoted(part[equals + 1..].trim_ascii())))
    })
}

fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    match inner {
        None => Cow::Borrowed(value),
        Some(inner) if !inner.contains(&b'\\') => Cow::Borrowed(inner),
        Some(inner) => {
            let mut escaped = false;
            let kept = inner.iter().copied().filter(|byte| {
                escaped = !escaped && *byte == b'\\';
                !escaped
            });
            Cow::Owned(kept.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn elements(line: &str) -> Vec<&str> {
        Elements(Some(line.as_bytes())).map(|element| std::str::from_utf8(element).unwrap()).collect()
    }

    #[test]
    fn elements_are_found_from_the_end() {
        assert_eq!(elements("for=a, for=b;by=c ,for=d"), ["for=d", "for=b;by=c", "for=a"]);
        assert_eq!(
            elements(r#"for="a,b", for="c\",d", for="e\\""#),
            [r#"for="e\\""#, r#"for="c\",d""#, r#"for="a,b""#]
        );
        assert_eq!(elements(",, ,"), [""; 0]);
        // What the client broke is its own element.
        assert_eq!(elements(r#"for="open, for=10.0.0.1"#)[0], "for=10.0.0.1");
        assert_eq!(elements(r#"for="a\", for=10.0.0.1"#)[0], "for=10.0.0.1");
    }

    #[test]
    fn an_element_is_read() {
        let claim = read(
            br#"For="[2001:db8::1]:4711" ;PROTO=https; host="shop.example:8443";by=_x;ext="a;host=evil""#,
        );
        assert_eq!(claim.address, Some("2001:db8::1".parse().unwrap()));
        assert_eq!(
            (claim.tls, claim.host),
            (Some(true), Some(HeaderValue::from_static("shop.example:8443")))
        );
        assert_eq!(read(b"for=_hidden;proto=gopher;host=a@b;x;=;"), Claim::default());
        assert_eq!(read(br#"for="10.0.\0.1""#).address, Some("10.0.0.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn whatever_comes_before_ours_is_the_last(before in "[\",;=\\\\ a-z]{0,24}") {
            let line = format!("{before}, for=10.0.0.1");
            prop_assert_eq!(elements(&line)[0], "for=10.0.0.1");
        }

        #[test]
        fn any_text_is_survived(line in "[ -~]{0,40}") {
            for element in elements(&line) {
                read(element.as_bytes());
            }
        }

        #[test]
        fn what_is_written_can_be_read(peer: std::net::IpAddr, secure: bool, name in "[a-z]{1,8}(:[0-9]{1,4})?") {
            let host = HeaderValue::try_from(name).unwrap();
            let seen = Seen { peer: None, tls: secure, host: Some(host.clone()) };
            let claim = read(&write(Some(&IpText::new(peer.to_canonical())), &seen));
            prop_assert_eq!(claim, Claim { address: Some(peer.to_canonical()), tls: Some(secure), host: Some(host) });
        }
    }
}
