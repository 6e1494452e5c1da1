//! Changes to headers.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A route's `request_headers` or `response_headers`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct HeaderEdits {
    pub(crate) remove: Vec<HeaderName>,
    pub(crate) set: Vec<(HeaderName, HeaderValue)>,
    pub(crate) add: Vec<(HeaderName, HeaderValue)>,
}

impl HeaderEdits {
    /// Removes, then sets, then adds. What a full map has no room for is left out.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            let _ = headers.try_insert(name, value.clone());
        }
        for (name, value) in &self.add {
            let _ = headers.try_append(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_removed_then_set_then_added() {
        let pair = |name: &'static str, value: &'static str| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let edits = HeaderEdits {
            remove: vec![HeaderName::from_static("a"), HeaderName::from_static("missing")],
            set: vec![pair("b", "new"), pair("c", "1")],
            add: vec![pair("a", "after"), pair("c", "2")],
        };
        let mut headers: HeaderMap = [pair("a", "1"), pair("b", "1"), pair("d", "1")].into_iter().collect();
        headers.append("b", HeaderValue::from_static("2"));
        edits.apply(&mut headers);
        let mut found: Vec<_> = headers.iter().map(|(n, v)| format!("{n}={}", v.to_str().unwrap())).collect();
        found.sort();
        assert_eq!(found, ["a=after", "b=new", "c=1", "c=2", "d=1"]);
    }
}
