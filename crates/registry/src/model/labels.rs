//! Small sets of text that many records share.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Free labels, in the order of their keys. Copies share what they hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(Option<Arc<[Label]>>);

type Label = (Box<str>, Box<str>);

/// Tags, in the order in which they were given. Copies share what they hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tags(Option<Arc<[Box<str>]>>);

impl Labels {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let all = self.0.as_deref()?;
        let at = all.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        all.get(at).map(|(_, value)| &**value)
    }

    /// All labels, in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.as_deref().unwrap_or_default().iter().map(|(key, value)| (&**key, &**value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.as_deref().map_or(0, <[_]>::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The same as a map.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Whether nobody else holds this very set.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.as_ref().is_none_or(|set| Arc::strong_count(set) == 1)
    }
}

impl Tags {
    /// All tags.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.as_deref().unwrap_or_default().iter().map(|tag| &**tag)
    }

    /// Whether there is such a tag; case matters.
    pub fn contains(&self, tag: &str) -> bool {
        self.iter().any(|known| known == tag)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.as_deref().map_or(0, <[_]>::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether nobody else holds this very set.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.as_ref().is_none_or(|set| Arc::strong_count(set) == 1)
    }
}

impl<K: Into<Box<str>> + Ord, V: Into<Box<str>>> From<BTreeMap<K, V>> for Labels {
    fn from(map: BTreeMap<K, V>) -> Self {
        map.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
    }
}

impl FromIterator<(Box<str>, Box<str>)> for Labels {
    /// The last of several values of a key counts.
    fn from_iter<I: IntoIterator<Item = (Box<str>, Box<str>)>>(labels: I) -> Self {
        let map: BTreeMap<_, _> = labels.into_iter().collect();
        if map.is_empty() { Self(None) } else { Self(Some(map.into_iter().collect())) }
    }
}

impl<T: Into<Box<str>>> FromIterator<T> for Tags {
    fn from_iter<I: IntoIterator<Item = T>>(tags: I) -> Self {
        let all: Vec<Box<str>> = tags.into_iter().map(Into::into).collect();
        if all.is_empty() { Self(None) } else { Self(Some(all.into())) }
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<Box<str>, Box<str>>::deserialize(deserializer).map(|map| map.into_iter().collect())
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Box<str>>::deserialize(deserializer).map(|tags| tags.into_iter().collect())
    }
}
