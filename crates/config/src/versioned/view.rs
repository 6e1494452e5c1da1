//! Keys as they are shown.

use serde::Serialize;
use serde_json::value::RawValue;

use super::address::path_of;
use super::change::Format;
use super::gray::{Instance, Rule};
use super::item::{Content, Item};
use super::seal::Keys;
use crate::error::Result;

/// What is shown instead of a secret.
pub(crate) const MASK: &str = "***";

/// A key and its value.
#[derive(Debug, Clone, Serialize)]
pub struct ItemView {
    /// Its path.
    pub key: String,
    /// Its version: how often it was changed.
    pub version: u64,
    /// The revision of its last change.
    pub revision: u64,
    /// When that was, in milliseconds since 1970.
    pub changed_unix_ms: i64,
    /// Media type of the value; absent if it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<&'static str>,
    /// The value: JSON as it is, other text as a string, `***` for a secret unless it is to be revealed. Absent if it
    /// was deleted, or not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawValue>>,
    /// Whether it is a secret.
    pub secret: bool,
    /// Whether the value is the candidate, which this instance gets.
    pub is_candidate: bool,
    /// Who gets the candidate, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate_for: Option<Rule>,
}

/// Keys and the revision as of which they are.
#[derive(Debug, Clone, Serialize)]
pub struct ListView {
    /// Watch from here on.
    pub revision: u64,
    /// The keys, in the order of their paths.
    pub items: Vec<ItemView>,
}

/// How keys are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look<'a> {
    pub(crate) instance: Option<&'a Instance>,
    pub(crate) reveal: bool,
    pub(crate) values: bool,
}

impl ItemView {
    pub(crate) fn new(item: &Item, look: &Look<'_>, keys: &Keys) -> Result<Self> {
        let picked = item.pick(look.instance);
        let value = match picked {
            Some((content, _)) if look.values => Some(shown(content, &item.name, look.reveal, keys)?),
            _ => None,
        };
        Ok(Self {
            key: path_of(&item.name).to_owned(),
            version: item.version,
            revision: item.revision,
            changed_unix_ms: item.changed_unix_ms,
            content_type: picked.map(|(content, _)| content.format.media_type()),
            value,
            secret: item.secret,
            is_candidate: picked.is_some_and(|(_, is_candidate)| is_candidate),
            candidate_for: item.candidate.as_ref().map(|(_, rule)| rule.clone()),
        })
    }
}

impl ItemView {
    /// A key that was removed with its history.
    pub(crate) fn purged(name: &str, revision: u64) -> Self {
        Self {
            key: path_of(name).to_owned(),
            version: 0,
            revision,
            changed_unix_ms: 0,
            content_type: None,
            value: None,
            secret: false,
            is_candidate: false,
            candidate_for: None,
        }
    }
}

/// A value as JSON.
pub(crate) fn shown(content: &Content, name: &str, reveal: bool, keys: &Keys) -> Result<Box<RawValue>> {
    let raw = |text: &str| serde_json::value::to_raw_value(text).unwrap_or_default();
    if content.seal.is_some() && !reveal {
        return Ok(raw(MASK));
    }
    let plain = content.plain(name, keys)?;
    let text = String::from_utf8_lossy(&plain);
    Ok(match content.format {
        // It was read as JSON when it came in.
        Format::Json => RawValue::from_string(text.into_owned()).unwrap_or_default(),
        _ => raw(&text),
    })
}
