//! Request paths: what is refused, and the form in which they are compared with routes.
//!
//! A path is forwarded as it came. It is compared segment by segment, with escapes of letters, digits and `-._~` undone
//! (they mean the same, RFC 3986, section 6.2.2) and empty segments skipped, so that no other spelling of a path leads
//! past its route. Paths with `.` or `..` segments are refused: what an upstream makes of them is not what was routed.

use std::borrow::Cow;

/// Why a path is not carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("the path does not begin with '/'")]
    Relative,
    #[error("the path has a '%' that is not followed by two hexadecimal digits")]
    Escape,
    #[error("the path has a '.' or '..' segment; send the path it stands for")]
    Dots,
}

/// One segment of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    /// As it is compared.
    pub(crate) name: Cow<'a, str>,
    /// Where it begins in the path as it came.
    pub(crate) start: usize,
    /// Where it ends there.
    pub(crate) end: usize,
}

/// Refuses paths that may mean something else further on.
pub(crate) fn check(path: &str) -> Result<(), PathError> {
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    if !path.contains(['%', '\\']) && !path.contains("/.") {
        return Ok(());
    }
    if !escapes_are_whole(path) {
        return Err(PathError::Escape);
    }
    // Upstreams differ in what they take for a separator and in whether they drop `;parameters` before they look at
    // dots, so all readings are looked at.
    let readable = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
    let readable = readable.replace("%3b", ";");
    let is_dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    if readable.split(['/', '\\']).any(is_dots) { Err(PathError::Dots) } else { Ok(()) }
}

/// The segments of a path that has passed [`check`].
pub(crate) fn segments(path: &str) -> Segments<'_> {
    Segments { path, at: 0 }
}

/// See [`segments`]. A clone goes on from the same place.
#[derive(Debug, Clone)]
pub(crate) struct Segments<'a> {
    path: &'a str,
    at: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        let rest = &self.path.as_bytes()[self.at..];
        let start = self.at + rest.iter().position(|byte| *byte != b'/')?;
        let mut has_escapes = false;
        let mut end = start;
        // Segments are short: looking at each byte once is faster than searching twice.
        for byte in &self.path.as_bytes()[start..] {
            match byte {
                b'/' => break,
                b'%' => has_escapes = true,
                _ => {}
            }
            end += 1;
        }
        self.at = end;
        let raw = &self.path[start..end];
        let name = if has_escapes { normal(raw) } else { Cow::Borrowed(raw) };
        Some(Segment { name, start, end })
    }
}

/// A segment as it is compared: needless escapes undone, the others in upper case.
pub(crate) fn normal(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut text = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some(at) = rest.find('%') {
        let (plain, escape) = rest.split_at(at);
        text.push_str(plain);
        let Some(digits) = escape.get(1..3) else {
            rest = escape;
            break;
        };
        match u8::from_str_radix(digits, 16) {
            Ok(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => text.push(byte as char),
            _ => {
                text.push('%');
                text.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = &escape[3..];
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The whole path as it is compared: [`normal`], without empty segments.
pub(crate) fn normal_path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut text = String::with_capacity(path.len());
    for segment in segments(path) {
        text.push('/');
        text.push_str(&segment.name);
    }
    if path.ends_with('/') {
        text.push('/');
    }
    Cow::Owned(text)
}

fn escapes_are_whole(path: &str) -> bool {
    let bytes = path.as_bytes();
    let whole = |at: usize| matches!(bytes.get(at + 1..at + 3), Some(digits) if digits.iter().all(u8::is_ascii_hexdigit));
    bytes.iter().enumerate().all(|(at, byte)| *byte != b'%' || whole(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(path: &str) -> Vec<String> {
        segments(path).map(|s| s.name.into_owned()).collect()
    }

    #[test]
    fn spellings_of_a_path_compare_equal() {
        assert_eq!(names("/api/%75sers/a%2fb%7E"), ["api", "users", "a%2Fb~"]);
        assert_eq!(names("//api///users/"), ["api", "users"]);
        assert_eq!(names("/"), Vec::<String>::new());
        let places: Vec<_> = segments("/api//u/").map(|s| (s.start, s.end)).collect();
        assert_eq!(places, [(1, 4), (6, 7)]);
        for (path, whole) in [("/a/b", "/a/b"), ("//%61//b%2f/", "/a/b%2F/"), ("//", "/"), ("/", "/")] {
            assert_eq!(normal_path(path), whole, "{path}");
        }
    }

    #[test]
    fn paths_that_could_escape_a_prefix_are_refused() {
        for path in [
            "/a/../b",
            "/a/..",
            "/../a",
            "/./a",
            "/a/.",
            "/a/%2e%2e/b",
            "/a/%2E./b",
            "/a/.%2e",
            "/a/..%2fb",
            "/a%2f..%2fb",
            "/a/..%5cb",
            "/a\\..\\b",
            "/a/..;x=1/b",
            "/a/..%3bx/b",
            "/a/%2e%2e%3B",
            "/%2e",
        ] {
            assert_eq!(check(path), Err(PathError::Dots), "{path}");
        }
        for path in [
            "/",
            "/a/b",
            "/.well-known/x",
            "/a/...",
            "/a..b/.c",
            "/a%2Fb",
            "/a;v=1/b",
            "/%C3%BC",
            "/a/..b",
            "/%252e%252e/a",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        for path in ["/a%", "/a%2", "/a%zz", "/%%41"] {
            assert_eq!(check(path), Err(PathError::Escape), "{path}");
        }
        assert_eq!(check("a/b"), Err(PathError::Relative));
        assert_eq!(check("*"), Err(PathError::Relative));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(path in "\\PC{0,40}") {
            let _ = check(&path);
            for segment in segments(&path) {
                prop_assert!(path.get(segment.start..segment.end).is_some());
            }
        }

        #[test]
        fn escaping_unreserved_characters_changes_nothing(name in "[a-zA-Z0-9._~-]{1,12}", mask: u16) {
            let escape = |(i, b): (usize, u8)| if mask >> (i % 16) & 1 == 1 { format!("%{b:02x}") } else { (b as char).to_string() };
            let escaped: String = name.bytes().enumerate().map(escape).collect();
            prop_assert_eq!(normal(&escaped), name);
        }

        #[test]
        fn a_path_without_dots_stays_inside_its_prefix(path in "/[a-b./%2eEfF5cC;\\\\]{0,24}") {
            // The worst reading an upstream could have: everything decoded, parameters dropped, dots resolved.
            if check(&path).is_ok() {
                let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().replace('\\', "/");
                let depth = decoded.split('/').filter(|s| !s.is_empty()).try_fold(0_i32, |depth, segment| {
                    match segment.split(';').next() {
                        Some("..") => (depth > 0).then(|| depth - 1),
                        Some(".") => None,
                        _ => Some(depth + 1),
                    }
                });
                prop_assert!(depth.is_some() && !decoded.split('/').any(|s| s.split(';').next() == Some("..")), "{path}");
            }
        }
    }
}
