//! Paths as they are written in the file.

use std::collections::HashSet;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use regex::{Regex, RegexBuilder};

use crate::path;
use crate::table::{Captured, End, Host, MAX_SEGMENTS, Pattern, Piece};

/// What cannot stand in a request line as it is; people may still write it in a file.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'^').add(b'|');

/// Names that mean something else in templates.
const TAKEN: [&str; 3] = ["host", "path", "query"];

/// Largest compiled regular expression, in bytes.
const MAX_REGEX: usize = 1 << 20;

/// Reads `path` of a route.
pub(crate) fn pattern(text: &str) -> Result<Pattern, String> {
    plain(text)?;
    let (path, end) = match text.strip_suffix("/**") {
        Some(prefix) => (prefix, End::Below),
        None if text.ends_with('/') => (text, End::Slash),
        None => (text, End::Here),
    };
    let pieces = path.split('/').filter(|segment| !segment.is_empty());
    let pieces = pieces.map(piece).collect::<Result<Vec<_>, _>>()?;
    if pieces.len() > MAX_SEGMENTS {
        return Err(format!("a path has at most {MAX_SEGMENTS} segments"));
    }
    let mut names = HashSet::new();
    let twice = pieces.iter().find_map(|piece| match piece {
        Piece::Param(name) => (!names.insert(name)).then_some(name),
        Piece::Literal(_) => None,
    });
    match twice {
        Some(name) => Err(format!("{{{name}}} is there twice; give each parameter a name of its own")),
        None => Ok(Pattern { pieces, end }),
    }
}

fn piece(segment: &str) -> Result<Piece, String> {
    if segment.contains('*') {
        return Err(
            "a path is exact, or ends with \"/**\" for all that is below it; for one segment write {name}"
                .into(),
        );
    }
    if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let is_word = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_word || !name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') {
            return Err(format!(
                "{{{name}}} is not a parameter: a name is a-z, 0-9 and '_', and no digit first"
            ));
        }
        if TAKEN.contains(&name) {
            return Err(format!("{{{name}}} stands for the request's own in templates; use another name"));
        }
        return Ok(Piece::Param(name.into()));
    }
    if segment.contains(['{', '}']) {
        return Err(format!("a parameter is a whole segment: \"/users/{{id}}\", not {segment:?}"));
    }
    Ok(Piece::Literal(path::normal(&encoded(segment)).into_owned()))
}

/// What `pattern` captures.
pub(crate) fn captured(pattern: &Pattern) -> Captured {
    let params = pattern.pieces.iter().zip(0..).filter_map(|(piece, place)| match piece {
        Piece::Param(name) => Some((name.clone(), place)),
        Piece::Literal(_) => None,
    });
    let (names, places): (Vec<_>, Vec<u16>) = params.unzip();
    Captured { names: names.into(), places: places.into(), regex: None }
}

/// Reads `regex` of a route: it has to match the whole path.
pub(crate) fn regex(source: &str) -> Result<Captured, String> {
    let regex = whole(source, |pattern| RegexBuilder::new(pattern).size_limit(MAX_REGEX).build())?;
    let names = regex.capture_names().enumerate().skip(1);
    let names = names.map(|(index, name)| name.map_or_else(|| index.to_string(), str::to_owned).into());
    Ok(Captured { names: names.collect(), places: Box::default(), regex: Some::<Regex>(regex) })
}

/// Builds a regular expression for the whole of a text.
pub(super) fn whole<R>(source: &str, build: impl Fn(&str) -> Result<R, regex::Error>) -> Result<R, String> {
    // On its own first: it must not close what is put around it.
    build(source).and_then(|_| build(&format!(r"\A(?:{source})\z"))).map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the regular expression is too large: over {limit} bytes")
        }
        error => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("{source:?} is not a regular expression: {reason}")
        }
    })
}

/// The largest that a regular expression for values may be.
pub(super) fn value_regex(source: &str) -> Result<regex::bytes::Regex, String> {
    whole(source, |pattern| regex::bytes::RegexBuilder::new(pattern).size_limit(MAX_REGEX).build())
}

/// Reads an item of `hosts`.
pub(super) fn host(text: &str) -> Result<Host, String> {
    let (name, is_below) = match text.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (text, false),
    };
    let name = name.to_ascii_lowercase();
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let is_address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_address = is_address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    if name.len() > 250 || !(name.split('.').all(is_label) || (is_address && !is_below)) {
        return Err(format!(
            "{text:?} is not a host without port: write \"shop.example\", or \"*.shop.example\" for all below it"
        ));
    }
    Ok(if is_below { Host::Below(format!(".{name}").into()) } else { Host::Exact(name.into()) })
}

/// Reads `get` of a part: a path and perhaps a query.
pub(super) fn path_and_query(text: &str) -> Result<http::uri::PathAndQuery, String> {
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    plain(path)?;
    let query = query.map(|query| format!("?{}", encoded(query))).unwrap_or_default();
    format!("{}{query}", encoded(path))
        .parse()
        .map_err(|_| format!("{text:?} is not a path with an optional query"))
}

pub(super) fn plain(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return Err(format!("{text:?} does not begin with \"/\""));
    }
    if text.contains(['?', '#']) {
        return Err("a path has no \"?\" and no \"#\"".into());
    }
    path::check(text).map_err(|error| error.to_string())
}

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNSAFE).to_string()
}
