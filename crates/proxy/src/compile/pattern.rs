//! Paths as they are written in the file.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::path;
use crate::table::{Pattern, Rewrite};

/// What cannot stand in a request line as it is; people may still write it in a file.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'^').add(b'|');

/// Reads `path` of a route.
pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    plain(text)?;
    let (path, is_prefix) = match text.strip_suffix("/**") {
        Some(prefix) => (prefix, true),
        None => (text, false),
    };
    if path.contains(['*', '{', '}']) {
        return Err(
            "a path is exact, or ends with \"/**\" for all that is below it; other patterns are not known"
                .into(),
        );
    }
    let encoded = encoded(path);
    let segments = path::segments(&encoded).map(|segment| segment.name.into_owned()).collect();
    Ok(if is_prefix {
        Pattern::Prefix { segments }
    } else {
        Pattern::Exact { segments, slash: path.ends_with('/') }
    })
}

/// Reads `rewrite` of a route. `**` only means something if the route's path has it, too.
pub(super) fn rewrite(text: &str, pattern: &Pattern) -> Result<Rewrite, String> {
    plain(text)?;
    let Some((before, after)) = text.split_once("/**") else {
        return if text.contains('*') { Err(misplaced()) } else { Ok(Rewrite::Fixed(encoded(text).into())) };
    };
    if before.contains('*') || after.contains('*') || !(after.is_empty() || after.starts_with('/')) {
        return Err(misplaced());
    }
    if matches!(pattern, Pattern::Exact { .. }) {
        return Err("\"**\" stands for what it matched in `path`, but `path` has none".into());
    }
    Ok(Rewrite::Around { before: encoded(before).into(), after: encoded(after).into() })
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

fn plain(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return Err(format!("{text:?} does not begin with \"/\""));
    }
    if text.contains(['?', '#']) {
        return Err("a path has no \"?\" and no \"#\"".into());
    }
    path::check(text).map_err(|error| error.to_string())
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNSAFE).to_string()
}

fn misplaced() -> String {
    "\"**\" can stand once, as a whole segment: \"/users/**\"".into()
}
