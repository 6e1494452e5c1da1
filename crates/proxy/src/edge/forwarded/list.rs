//! Lists of addresses in headers.

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// An address as text, without the heap.
#[derive(Clone, Copy)]
pub(super) struct IpText {
    /// Long enough for any address that Rust writes.
    text: [u8; 45],
    length: usize,
}

impl IpText {
    pub(super) fn new(address: IpAddr) -> Self {
        let mut text = Self { text: [0; 45], length: 0 };
        match address {
            // By hand: it is most of them, and formatting is slow.
            IpAddr::V4(address) => {
                for (place, octet) in address.octets().into_iter().enumerate() {
                    if place > 0 {
                        text.push(b'.');
                    }
                    text.push_number(octet);
                }
            }
            // It fits.
            IpAddr::V6(address) => write!(text, "{address}").unwrap_or_default(),
        }
        text
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    fn push_number(&mut self, number: u8) {
        if number >= 100 {
            self.push(b'0' + number / 100);
        }
        if number >= 10 {
            self.push(b'0' + number / 10 % 10);
        }
        self.push(b'0' + number % 10);
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }
}

impl Write for IpText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

/// The entries of a list over all lines, from the last one on, without the empty ones.
pub(super) fn entries<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

/// An address as proxies write it: `10.0.0.1`, `::1`, `[::1]`, each perhaps with a port.
pub(super) fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

/// All lines of a list as one, with `last` at its end. `None` if that is nothing.
pub(super) fn join(headers: &HeaderMap, name: &HeaderName, last: Option<&[u8]>) -> Option<HeaderValue> {
    let lines =
        || headers.get_all(name).iter().filter(|line| line.to_str().is_ok()).map(HeaderValue::as_bytes);
    write(|| lines().filter(|line| !line.is_empty()).chain(last))
}

/// A list of `entries`. `None` if that is nothing.
pub(super) fn write<'e, I: Iterator<Item = &'e [u8]>>(entries: impl Fn() -> I) -> Option<HeaderValue> {
    let mut first = entries();
    let only = first.next()?;
    if first.next().is_none() {
        return HeaderValue::from_bytes(only).ok();
    }
    let mut list = BytesMut::with_capacity(entries().map(|entry| entry.len() + 2).sum());
    for entry in entries() {
        if !list.is_empty() {
            list.put_slice(b", ");
        }
        list.put_slice(entry);
    }
    HeaderValue::from_maybe_shared(list.freeze()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (entry, found) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("10.0.0.1:80", Some("10.0.0.1")),
            ("::1", Some("::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("unknown", None),
            ("_hidden", None),
            ("10.0.0", None),
            ("010.0.0.1", None),
            ("[10.0.0.1", None),
            ("10.0.0.1:99999", None),
            ("", None),
        ] {
            assert_eq!(address(entry.as_bytes()).map(|a| a.to_string()).as_deref(), found, "{entry}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_written_as_rust_writes_it(address: IpAddr) {
            let text = IpText::new(address);
            prop_assert_eq!(std::str::from_utf8(text.as_bytes()).unwrap(), address.to_string());
        }
    }
}
