//! Small things that all of the edge does to headers.

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The value of a header that is there exactly once.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { Some(first) }
}

/// The items of a comma-separated list, over all lines of the header, without the empty ones (RFC 9110, section
/// 5.6.1). Lines that are not text are passed over.
pub(super) fn items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|item| !item.is_empty())
}

/// Whether a list has `item`, in any case.
pub(super) fn has_item(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    items(headers, name).any(|found| found.eq_ignore_ascii_case(item))
}

/// Says that the response depends on a header of the request, unless it says so already.
pub(super) fn vary(headers: &mut HeaderMap, on: &'static str) {
    if !items(headers, &VARY).any(|item| item == "*" || item.eq_ignore_ascii_case(on)) {
        headers.append(VARY, HeaderValue::from_static(on));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vary_is_said_once() {
        let mut headers = HeaderMap::new();
        vary(&mut headers, "origin");
        vary(&mut headers, "Origin");
        vary(&mut headers, "accept-encoding");
        assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), ["origin", "accept-encoding"]);
        for before in ["*", "Accept, ORIGIN"] {
            let mut headers = HeaderMap::from_iter([(VARY, HeaderValue::from_static(before))]);
            vary(&mut headers, "origin");
            assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), [before]);
        }
    }

    #[test]
    fn lists_go_over_lines() {
        let mut headers = HeaderMap::new();
        headers.append(VARY, HeaderValue::from_static("a, ,b,"));
        headers.append(VARY, HeaderValue::from_bytes(b"\xff").unwrap());
        headers.append(VARY, HeaderValue::from_static(" C "));
        assert_eq!(items(&headers, &VARY).collect::<Vec<_>>(), ["a", "b", "C"]);
        assert!(has_item(&headers, &VARY, "c") && !has_item(&headers, &VARY, "d"));
        assert_eq!(only(&headers, &VARY), None);
    }
}
