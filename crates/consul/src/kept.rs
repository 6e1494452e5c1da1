//! What Consul's clients keep and nothing else of the platform knows: objects of JSON in the versioned configuration, of
//! the application `consul` and the environment `entries`. So they are durable, compared and set, followed, and in the
//! history and the audit like everything there.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Map, Value};
use trellis_config::Error;
use trellis_config::versioned::{Author, Change, Edit, Format, ItemView, Space};

use crate::door::Door;
use crate::refusal::{Refusal, Reply};
use crate::request::Object;

/// An object, and when it was made and changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) object: Map<String, Value>,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
    version: u64,
}

/// What is to become of an object.
pub(crate) enum Revision {
    Keep(Map<String, Value>),
    Forget,
}

/// Where the index is written down at which an object was made, once it is changed. Consul calls it so, too.
const CREATE: &str = "CreateIndex";
const MODIFY: &str = "ModifyIndex";
/// So many others may be faster, one after the other.
const TRIES: usize = 16;

/// Where all of it is: its application and environment.
pub(crate) fn space() -> Reply<Space> {
    let name = |text: &str| text.parse().map_err(|error| Refusal::failed(format!("{error}")));
    Ok(Space { app: name("consul")?, env: name("entries")? })
}

/// A name of any kind as a part of a path: other characters, and capital letters, are told by their bytes. Names of
/// Consul's entries forget their case.
pub(crate) fn part(name: &str) -> String {
    let mut part = String::with_capacity(name.len());
    for byte in name.to_ascii_lowercase().bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || byte == b'-' || (byte == b'.' && !part.is_empty());
        if is_plain {
            part.push(byte.into());
        } else {
            let _infallible = write!(part, "_{byte:02x}");
        }
    }
    part
}

impl Kept {
    /// An object that is not kept yet.
    pub(crate) fn new(object: Map<String, Value>) -> Self {
        Self { object, create_index: 0, modify_index: 0, version: 0 }
    }

    /// What it says, to be taken apart.
    pub(crate) fn fields(&self) -> Reply<Object> {
        Object::new(self.text("Kind"), Value::Object(self.object.clone()))
    }

    /// `None` for what is there, but was not put there by this door: no object, or a secret.
    fn read(view: &ItemView) -> Option<Self> {
        let Ok(Value::Object(mut object)) = serde_json::from_str(view.value.as_ref()?.get()) else {
            return None;
        };
        let created = object.remove(CREATE).and_then(|index| index.as_u64());
        Some(Self {
            object,
            create_index: created.unwrap_or(view.revision),
            modify_index: view.revision,
            version: view.version,
        })
    }

    /// The object with its indexes, as clients see it.
    pub(crate) fn shown(mut self) -> Value {
        self.object.insert(CREATE.into(), self.create_index.into());
        self.object.insert(MODIFY.into(), self.modify_index.into());
        Value::Object(self.object)
    }

    /// A text of it.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.object.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Door {
    /// What is kept at a path.
    pub(crate) fn kept(&self, path: &str) -> Reply<Option<Kept>> {
        let address = space()?.key(path)?;
        match self.config.config_get(&address, None, false) {
            Ok(view) => Ok(Kept::read(&view)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All that is kept at paths that begin so, in their order.
    pub(crate) fn kept_under(&self, prefix: &str) -> Reply<Vec<Kept>> {
        let list = self.config.config_list(&space()?, prefix, None, true, false)?;
        Ok(list.items.iter().filter_map(Kept::read).collect())
    }

    /// Keeps an object. With `cas` only if what is there was changed last at this index; 0: only if nothing is there.
    /// False if that is not so.
    pub(crate) async fn keep(&self, path: &str, object: Map<String, Value>, cas: Option<u64>) -> Reply<bool> {
        self.revise(path, cas, |_| Ok(Revision::Keep(object.clone()))).await
    }

    /// Keeps it no longer; true also if nothing is there.
    pub(crate) async fn forget(&self, path: &str, cas: Option<u64>) -> Reply<bool> {
        self.revise(path, cas, |_| Ok(Revision::Forget)).await
    }

    /// Makes something else of what is there, which may have to be decided more than once.
    pub(crate) async fn revise(
        &self,
        path: &str,
        cas: Option<u64>,
        revise: impl Fn(Option<&Kept>) -> Reply<Revision>,
    ) -> Reply<bool> {
        let address = space()?.key(path)?;
        for _ in 0..TRIES {
            self.config.sync().await?;
            let known = self.kept(path)?;
            let index = known.as_ref().map_or(0, |known| known.modify_index);
            if cas.is_some_and(|cas| cas != index) {
                return Ok(false);
            }
            let Some(change) = revise(known.as_ref())?.change(known.as_ref()) else { return Ok(true) };
            let version = known.as_ref().map_or(0, |known| known.version);
            let edit = Edit { address: address.clone(), change, cas: Some(version) };
            let author = Author { actor: "consul".into(), reason: String::new() };
            match self.config.config_apply(vec![edit], author).await {
                Ok(_) => return Ok(true),
                // Another was faster: what is there now decides.
                Err(Error::Stale { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::failed(format!("{path} is changed by others all the time; try again")))
    }
}

impl Revision {
    /// What has to be done, if anything has.
    fn change(self, known: Option<&Kept>) -> Option<Change> {
        let mut object = match self {
            Self::Forget => return known.map(|_| Change::Delete),
            Self::Keep(object) => object,
        };
        object.remove(CREATE);
        object.remove(MODIFY);
        match known {
            Some(known) if known.object == object => return None,
            Some(known) => object.insert(CREATE.into(), known.create_index.into()),
            None => None,
        };
        let value = Bytes::from(Value::Object(object).to_string());
        Some(Change::Set { format: Format::Json, value, secret: Some(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_part_of_a_path_of_its_own() {
        for (name, wanted) in [
            ("web", "web"),
            ("Web-1", "web-1"),
            ("a.b", "a.b"),
            (".", "_2e"),
            ("..", "_2e."),
            ("a_b", "a_5fb"),
            ("*", "_2a"),
            ("app#1/2", "app_231_2f2"),
            ("ü", "_c3_bc"),
        ] {
            assert_eq!(part(name), wanted);
            assert!(space().unwrap().key(&part(name)).is_ok(), "{name}");
        }
    }
}
