//! What a client can decode.

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, Method};

use super::Encoding;
use crate::edge::headers::items;

/// A request's `Accept-Encoding`, read while the request is there and kept until its answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepts {
    /// By the place in [`NAMES`]; none where it is not named.
    weights: [Option<Weight>; NAMES.len()],
    /// For codings that are not named.
    others: Option<Weight>,
    /// For no coding at all, if it is named.
    identity: Option<Weight>,
}

/// Thousandths: 0 for "not acceptable" to 1000.
type Weight = u16;

const NAMES: [Encoding; 3] = [Encoding::Gzip, Encoding::Brotli, Encoding::Zstd];

impl Accepts {
    /// Reads a request. HEAD has no body to compress.
    pub fn read(method: &Method, headers: &HeaderMap) -> Self {
        let mut accepts = Self::default();
        if method == Method::HEAD {
            return accepts;
        }
        for item in items(headers, &ACCEPT_ENCODING) {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            // What cannot be read says nothing.
            let Some(weight) = parts.next().map_or(Some(1000), weight) else { continue };
            let place = if name == "*" {
                &mut accepts.others
            } else if name.eq_ignore_ascii_case("identity") {
                &mut accepts.identity
            } else if let Some(place) = NAMES.iter().position(|known| known.is(name)) {
                &mut accepts.weights[place]
            } else {
                continue;
            };
            place.get_or_insert(weight);
        }
        accepts
    }

    /// The best of `offered`, in the order in which they are preferred here; `None` if it is better to send plain.
    pub(super) fn choose(&self, offered: &[Encoding]) -> Option<Encoding> {
        let mut best = None;
        for encoding in offered {
            let named =
                NAMES.iter().position(|known| known == encoding).and_then(|place| self.weights[place]);
            let weight = named.or(self.others).unwrap_or(0);
            if weight > best.map_or(0, |(weight, _)| weight) {
                best = Some((weight, *encoding));
            }
        }
        best.filter(|(weight, _)| self.identity.is_none_or(|identity| identity <= *weight))
            .map(|(_, found)| found)
    }
}

impl Encoding {
    fn is(self, name: &str) -> bool {
        let alias = self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip");
        name.eq_ignore_ascii_case(self.name()) || alias
    }
}

/// `q=0.5` (RFC 9110, section 12.4.2).
fn weight(parameter: &str) -> Option<Weight> {
    let (name, value) = parameter.split_once('=')?;
    let (whole, digits) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    if !name.trim().eq_ignore_ascii_case("q")
        || digits.len() > 3
        || !digits.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let thousandths =
        digits.bytes().zip([100, 10, 1]).map(|(digit, unit)| Weight::from(digit - b'0') * unit).sum();
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::Encoding::{Brotli, Gzip, Zstd};
    use super::*;

    fn chosen(accept: &[&str], offered: &[Encoding]) -> Option<Encoding> {
        let headers = accept.iter().map(|line| (ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap()));
        Accepts::read(&Method::GET, &headers.collect()).choose(offered)
    }

    #[test]
    fn the_best_is_chosen() {
        let all = &[Zstd, Brotli, Gzip][..];
        for (accept, best) in [
            (&["gzip, deflate, br, zstd"][..], Some(Zstd)),
            (&["gzip", "br"], Some(Brotli)),
            (&["gzip;q=1.0, br;q=0.9"], Some(Gzip)),
            (&["GZIP ; Q=0.001"], Some(Gzip)),
            (&["x-gzip"], Some(Gzip)),
            (&["*"], Some(Zstd)),
            (&["*;q=0.5, gzip"], Some(Gzip)),
            (&["zstd;q=0, *"], Some(Brotli)),
            (&["gzip;q=0, *;q=0"], None),
            (&["identity, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip;q=0.5"], Some(Gzip)),
            (&["identity;q=0"], None),
            (&["deflate, compress"], None),
            (&["gzip;q=2"], None),
            (&["gzip;q=0.1234, br;level=3, zstd;q=-1"], None),
            (&["gzip;q=0, gzip"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(chosen(accept, all), best, "{accept:?}");
        }
        assert_eq!(chosen(&["br, zstd"], &[Gzip]), None);
        assert_eq!(chosen(&["br, gzip"], &[Gzip, Brotli]), Some(Gzip));
    }

    #[test]
    fn head_has_no_body() {
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
        assert_eq!(Accepts::read(&Method::HEAD, &headers).choose(&[Gzip]), None);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(line in "[ -~]{0,40}") {
            let _ = chosen(&[&line], &[Zstd, Brotli, Gzip]);
        }

        #[test]
        fn what_is_refused_is_never_chosen(line in "((gzip|br|zstd|\\*)(;q=(0|0\\.[0-9]|1))?,?){0,6}") {
            if let Some(found) = chosen(&[&line, "br;q=0"], &[Brotli, Zstd, Gzip]) {
                prop_assert!(found != Brotli || line.contains("br"));
                prop_assert!(line.contains(found.name()) || line.contains('*'));
            }
        }
    }
}
