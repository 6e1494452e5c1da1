//! One configuration key, as it is now.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::change::Format;
use super::gray::{Instance, Rule};
use super::seal::{Keys, Seal};
use crate::cells::{Cell, Kind};
use crate::error::Result;

/// A key and what instances get for it. A deleted one stays, so that its versions count on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Application, environment and path.
    pub(crate) name: Arc<str>,
    /// How often it was changed, in whatever way.
    pub(crate) version: u64,
    pub(crate) revision: u64,
    pub(crate) changed_unix_ms: i64,
    pub(crate) secret: bool,
    /// `None`: it was deleted.
    pub(crate) content: Option<Content>,
    pub(crate) candidate: Option<(Content, Rule)>,
}

/// A value, sealed if it is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// The version that brought it.
    pub(crate) version: u64,
    pub(crate) format: Format,
    pub(crate) seal: Option<Seal>,
    pub(crate) bytes: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Meta {
    version: u64,
    at: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    secret: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<ContentMeta>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidate: Option<(ContentMeta, Rule)>,
}

/// What is said of a value beside its bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContentMeta {
    version: u64,
    format: Format,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seal: Option<Seal>,
    length: usize,
}

impl Content {
    pub(crate) fn new(
        name: &str,
        version: u64,
        format: Format,
        plain: Bytes,
        secret: bool,
        keys: &Keys,
    ) -> Result<Self> {
        let (seal, bytes) = if secret {
            let (seal, bytes) = keys.seal(name, version, &plain)?;
            (Some(seal), bytes.into())
        } else {
            (None, plain)
        };
        Ok(Self { version, format, seal, bytes })
    }

    /// The value itself.
    pub(crate) fn plain(&self, name: &str, keys: &Keys) -> Result<Bytes> {
        match &self.seal {
            None => Ok(self.bytes.clone()),
            Some(seal) => keys.open(name, self.version, seal, &self.bytes).map(Bytes::from),
        }
    }

    pub(crate) fn meta(&self) -> ContentMeta {
        ContentMeta {
            version: self.version,
            format: self.format,
            seal: self.seal.clone(),
            length: self.bytes.len(),
        }
    }

    pub(crate) fn of_meta(meta: ContentMeta, bytes: &mut Bytes) -> Result<Self, String> {
        if meta.length > bytes.len() {
            return Err("the value is shorter than it was".into());
        }
        let ContentMeta { version, format, seal, length } = meta;
        Ok(Self { version, format, seal, bytes: bytes.split_to(length) })
    }
}

impl Item {
    /// What an instance gets, and whether that is the candidate. Who does not say who it is gets the value.
    pub(crate) fn pick(&self, instance: Option<&Instance>) -> Option<(&Content, bool)> {
        let content = self.content.as_ref()?;
        match (&self.candidate, instance) {
            (Some((candidate, rule)), Some(instance)) if rule.includes(&self.name, instance) => {
                Some((candidate, true))
            }
            _ => Some((content, false)),
        }
    }

    pub(crate) fn to_cell(&self) -> Cell {
        let meta = Meta {
            version: self.version,
            at: self.changed_unix_ms,
            secret: self.secret,
            content: self.content.as_ref().map(Content::meta),
            candidate: self.candidate.as_ref().map(|(content, rule)| (content.meta(), rule.clone())),
        };
        let mut value = self.content.as_ref().map(|content| content.bytes.to_vec()).unwrap_or_default();
        value.extend(self.candidate.iter().flat_map(|(content, _)| content.bytes.iter()));
        Cell::new(Kind::Item, &self.name, self.revision, self.content.is_some(), &meta).with(value, None)
    }

    pub(crate) fn of_cell(cell: &Cell) -> Result<Self, String> {
        let Meta { version, at, secret, content, candidate } = cell.meta()?;
        let mut bytes = Bytes::from(cell.value.clone());
        let content = content.map(|meta| Content::of_meta(meta, &mut bytes)).transpose()?;
        let candidate = candidate
            .map(|(meta, rule)| Content::of_meta(meta, &mut bytes).map(|content| (content, rule)))
            .transpose()?;
        Ok(Self {
            name: cell.name()?.into(),
            version,
            revision: cell.revision,
            changed_unix_ms: at,
            secret,
            content,
            candidate,
        })
    }
}
