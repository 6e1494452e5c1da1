//! `rewrite` and `redirect.to`

use super::pattern::{encoded, plain};
use crate::mistake::hint;
use crate::table::{Captured, Part, Template};

/// What a template may refer to.
#[derive(Clone, Copy)]
pub(super) struct Known<'c> {
    pub(super) captured: &'c Captured,
    /// The path has a `**`.
    pub(super) has_tail: bool,
}

/// Reads `rewrite` of a route.
pub(crate) fn rewrite(text: &str, captured: &Captured, has_tail: bool) -> Result<Template, String> {
    plain(text)?;
    parse(text, &Known { captured, has_tail }, &[])
}

/// Reads `to` of a redirect.
pub(crate) fn location(text: &str, captured: &Captured, has_tail: bool) -> Result<Template, String> {
    let begins = ["/", "http://", "https://", "{path}"];
    if !begins.iter().any(|begin| text.starts_with(begin)) || text.starts_with("//") {
        return Err(format!("{text:?} is neither a path nor a URL: begin with \"/\" or \"https://\""));
    }
    parse(
        text,
        &Known { captured, has_tail },
        &[("host", Part::Host), ("path", Part::Path), ("query", Part::Query)],
    )
}

fn parse(text: &str, known: &Known<'_>, own: &[(&str, Part)]) -> Result<Template, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}', '*']) {
        let (before, place) = rest.split_at(at);
        let (before, part, after) = if let Some(inside) = place.strip_prefix('{') {
            let (name, after) = inside.split_once('}').ok_or("\"{\" has no \"}\"")?;
            (before, param(name, known, own)?, after)
        } else {
            let after =
                place.strip_prefix("**").filter(|after| after.is_empty() || after.starts_with(['/', '?']));
            let (Some(before), Some(after)) = (before.strip_suffix('/'), after) else {
                return Err(misplaced(place));
            };
            if parts.contains(&Part::Tail) {
                return Err(misplaced(place));
            }
            if !known.has_tail {
                return Err("\"**\" stands for what it matched in `path`, but `path` has none".into());
            }
            (before, Part::Tail, after)
        };
        push_text(&mut parts, before);
        parts.push(part);
        rest = after;
    }
    push_text(&mut parts, rest);
    Ok(Template(parts.into()))
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(encoded(text).into()));
    }
}

fn param(name: &str, known: &Known<'_>, own: &[(&str, Part)]) -> Result<Part, String> {
    if let Some((_, part)) = own.iter().find(|(own, _)| *own == name) {
        return Ok(part.clone());
    }
    let names = &known.captured.names;
    if let Some(index) = names.iter().position(|known| **known == *name) {
        return Ok(Part::Param(index));
    }
    // A group with a name has its number, too.
    if known.captured.regex.is_some()
        && let Some(index) = name.parse::<usize>().ok().filter(|n| (1..=names.len()).contains(n))
    {
        return Ok(Part::Param(index - 1));
    }
    let all = || names.iter().map(|name| &**name).chain(own.iter().map(|(name, _)| *name));
    if all().next().is_none() {
        return Err(format!("{{{name}}} stands for nothing: the path has no parameters"));
    }
    let listed: Vec<_> = all().map(|name| format!("{{{name}}}")).collect();
    Err(format!("{{{name}}} stands for nothing: there are {}{}", listed.join(", "), hint(name, all())))
}

fn misplaced(place: &str) -> String {
    if place.starts_with('*') {
        "\"**\" can stand once, as a whole segment: \"/users/**\"".into()
    } else {
        "\"}\" has no \"{\"".into()
    }
}
