//! What is done to one key, and what becomes of it. Pure: revision, time and stored versions come from outside.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::gray::Rule;
use super::history::{Entry, Record};
use super::item::{Content, Item};
use super::seal::Keys;
use crate::error::{Error, Result};

/// What kind of text a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `application/json`, checked.
    Json,
    /// `application/toml`, kept as text.
    Toml,
    /// `application/yaml`, kept as text.
    Yaml,
    /// `text/plain`.
    Text,
}

/// Who changes something, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Author {
    /// Who.
    pub actor: String,
    /// Why; may be empty.
    pub reason: String,
}

/// A change to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new value. What it says of secrecy holds from now on; `None`: as before.
    Set {
        /// What kind of text it is.
        format: Format,
        /// What to keep.
        value: Bytes,
        /// Whether it is a secret.
        secret: Option<bool>,
    },
    /// No value any more.
    Delete,
    /// No value, no version and no history any more. Only the audit tells that there was one.
    Purge,
    /// The value of an earlier version.
    Rollback {
        /// The version.
        to: u64,
    },
    /// A value for some instances, beside the one for all.
    Candidate {
        /// What kind of text it is.
        format: Format,
        /// What to keep.
        value: Bytes,
        /// Who gets it.
        rule: Rule,
    },
    /// The candidate becomes the value.
    Promote,
    /// The candidate is dropped.
    Abort,
}

/// What a change has to know beside the key itself.
pub(crate) struct Around<'a> {
    pub(crate) name: &'a str,
    pub(crate) revision: u64,
    pub(crate) now_unix_ms: i64,
    pub(crate) keys: &'a Keys,
    pub(crate) author: &'a Author,
    /// For a rollback: the content of the version, opened, its format, and whether it was a secret.
    pub(crate) earlier: Option<(Format, Bytes, bool)>,
}

impl Format {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Toml => "application/toml",
            Self::Yaml => "application/yaml",
            Self::Text => "text/plain",
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Toml => "toml",
            Self::Yaml => "yaml",
            Self::Text => "text",
        }
    }

    /// The format of a media type, parameters aside.
    pub fn of_media_type(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        [Self::Json, Self::Toml, Self::Yaml, Self::Text].into_iter().find(|f| f.media_type() == essence)
    }

    /// Refuses what is not of this format.
    pub(crate) fn check(self, value: &[u8]) -> Result<()> {
        if self == Self::Json {
            let read = serde_json::from_slice::<serde::de::IgnoredAny>(value);
            read.map_err(|error| {
                // The message of the parser has no part of the text in it but names of its own.
                Error::invalid(
                    "/value",
                    format!("the value is not JSON: line {} column {}", error.line(), error.column()),
                )
            })?;
            if depth(value) > MAX_DEPTH {
                return Err(Error::invalid(
                    "/value",
                    format!("the value is nested deeper than {MAX_DEPTH} levels"),
                ));
            }
            return Ok(());
        }
        std::str::from_utf8(value)
            .map(drop)
            .map_err(|_| Error::invalid("/value", "the value is not UTF-8 text"))
    }
}

/// Values nested deeper could not be read by all who get them: parsers have limits, and answers go around the value.
const MAX_DEPTH: usize = 64;

/// How deep lists and objects are nested in a text that is JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The key after the change and what is written down of it; `None` if nothing changes.
pub(crate) fn apply(
    old: Option<&Item>,
    change: &Change,
    around: &Around<'_>,
) -> Result<Option<(Item, Record)>> {
    let version = old.map_or(0, |item| item.version) + 1;
    let was_secret = old.is_some_and(|item| item.secret);
    let mut new = Item {
        name: around.name.into(),
        version,
        revision: around.revision,
        changed_unix_ms: around.now_unix_ms,
        secret: was_secret,
        content: old.and_then(|item| item.content.clone()),
        candidate: old.and_then(|item| item.candidate.clone()),
    };
    let make = |format, plain, secret| Content::new(around.name, version, format, plain, secret, around.keys);
    let path = || super::address::path_of(around.name).to_owned();
    let missing = || Error::NotFound(format!("there is no key {}", path()));
    let (action, written) = match change {
        Change::Set { format, value, secret } => {
            new.secret = secret.unwrap_or(was_secret);
            if same(&new, old, *format, value, around)? {
                return Ok(None);
            }
            let content = make(*format, value.clone(), new.secret)?;
            new.content = Some(content.clone());
            // What is said of secrecy holds for the candidate, too.
            if new.secret != was_secret && new.candidate.is_some() {
                return Err(Error::Conflict(format!(
                    "{} has a candidate; promote or abort it first",
                    path()
                )));
            }
            ("set", Some(content))
        }
        Change::Delete => {
            if new.content.is_none() {
                return Ok(None);
            }
            new.content = None;
            new.candidate = None;
            ("delete", None)
        }
        Change::Purge => {
            if old.is_none() {
                return Ok(None);
            }
            (new.version, new.secret, new.content, new.candidate) = (0, false, None, None);
            ("purge", None)
        }
        Change::Rollback { .. } => {
            let (format, plain, secret) = around.earlier.clone().ok_or_else(missing)?;
            // What was secret does not become public by coming back.
            new.secret |= secret;
            let content = make(format, plain, new.secret)?;
            new.content = Some(content.clone());
            ("rollback", Some(content))
        }
        Change::Candidate { format, value, rule } => {
            if new.content.is_none() {
                return Err(missing());
            }
            let content = make(*format, value.clone(), new.secret)?;
            new.candidate = Some((content.clone(), rule.clone()));
            ("candidate", Some(content))
        }
        Change::Promote => {
            let (candidate, _) = new.candidate.take().ok_or_else(|| no_candidate(&path()))?;
            let content = make(candidate.format, candidate.plain(around.name, around.keys)?, new.secret)?;
            new.content = Some(content.clone());
            ("promote", Some(content))
        }
        Change::Abort => {
            new.candidate.take().ok_or_else(|| no_candidate(&path()))?;
            ("abort", None)
        }
    };
    let record = Record {
        name: around.name.to_owned(),
        version: new.version,
        revision: around.revision,
        entry: Entry {
            action: action.into(),
            author: around.author.clone(),
            at: around.now_unix_ms,
            secret: new.secret,
            content: written.as_ref().map(Content::meta),
            rule: match change {
                Change::Candidate { rule, .. } => Some(rule.clone()),
                _ => None,
            },
        },
        bytes: written.map(|content| content.bytes).unwrap_or_default(),
    };
    Ok(Some((new, record)))
}

/// Whether a value is there already, in the same form.
fn same(new: &Item, old: Option<&Item>, format: Format, value: &Bytes, around: &Around<'_>) -> Result<bool> {
    let Some(old) = old.filter(|old| old.secret == new.secret) else { return Ok(false) };
    let Some(content) = old.content.as_ref().filter(|content| content.format == format) else {
        return Ok(false);
    };
    Ok(content.plain(around.name, around.keys)? == *value)
}

fn no_candidate(path: &str) -> Error {
    Error::Conflict(format!("{path} has no candidate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_that_of_lists_and_objects_and_not_of_texts() {
        for (text, wanted) in
            [("1", 0), ("[]", 1), (r#"{"a": [1, {"b": 2}]}"#, 3), (r#"["[[[", "\\\"[[", []]"#, 2)]
        {
            assert_eq!(depth(text.as_bytes()), wanted, "{text}");
        }
        assert!(Format::Json.check("[".repeat(64).as_bytes()).is_err(), "it does not end");
        for (levels, is_right) in [(64, true), (65, false)] {
            let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            assert_eq!(Format::Json.check(text.as_bytes()).is_ok(), is_right);
        }
    }
}
