//! Names and keys.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use trellis_core::{InstanceId, ServiceName};

/// Longest name, in bytes.
pub const MAX_NAME: usize = 128;

/// The name of a service or a node: 1 to 128 of `A-Z`, `a-z`, `0-9`, `-`, `_`, `.` and `#`, with a letter, a digit or `_`
/// in front.
///
/// Two names that differ in case only are the same name (DNS, Eureka and Consul see it so); the spelling is kept as it
/// was first registered. A name need not be a DNS label; [`Self::is_dns_label`] says whether it can be found by DNS.
/// Other characters (spaces, slashes, anything beyond ASCII) are refused: no door could carry them all.
#[derive(Clone)]
pub struct Name(Arc<str>);

/// The name of a namespace: 1 to 63 of `a-z`, `0-9`, `-` and `_`. Services and instances of different namespaces do
/// not know each other; nodes belong to none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

/// Why a text is no [`Name`] or [`Namespace`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}: use {rule}")]
pub struct InvalidName {
    text: String,
    kind: &'static str,
    rule: &'static str,
}

/// A service: its namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// Where it lives.
    pub namespace: Namespace,
    /// What it is called there.
    pub name: Name,
}

/// An instance. Ids are unique for each namespace and node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceKey {
    /// Where it lives.
    pub namespace: Namespace,
    /// The node that it runs on.
    pub node: Name,
    /// Its id there.
    pub id: InstanceId,
}

/// Whom a check is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOwner {
    /// A node, and so all instances on it.
    Node(Name),
    /// One instance.
    Instance(InstanceKey),
}

/// A check: its owner, and its id there. On one node, ids of checks of the node and of its instances may be equal only
/// if the owners differ; a door that knows checks by node and id alone asks [`Handle::find_check`](crate::Handle::find_check).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckKey {
    /// Whom it is about.
    pub owner: CheckOwner,
    /// Its id; for a check of an instance that came without one `service:<id>`, or `service:<id>:1..n` for several.
    pub id: Arc<str>,
}

impl Name {
    /// The name as it was spelt.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the platform's own node is called: the text if it is a name, or `trellis`. The manifest is checked before.
    pub(crate) fn new_or_own(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| Self("trellis".into()))
    }

    /// Whether DNS can carry it: one label of RFC 1123, in any case.
    pub fn is_dns_label(&self) -> bool {
        (1..=63).contains(&self.0.len())
            && self.0.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !self.0.starts_with('-')
            && !self.0.ends_with('-')
    }

    /// The name in lower case as a name of the platform, if it can be one: only such services are reached by routes.
    pub fn to_service_name(&self) -> Option<ServiceName> {
        if self.0.bytes().any(|b| b.is_ascii_uppercase()) {
            self.0.to_ascii_lowercase().parse().ok()
        } else {
            self.0.parse().ok()
        }
    }

    /// Whether nobody else holds this very text.
    pub(crate) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    fn lower(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.lower().cmp(other.lower())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut buffer = [0_u8; MAX_NAME];
        for (to, from) in buffer.iter_mut().zip(self.lower()) {
            *to = from;
        }
        buffer.get(..self.0.len()).unwrap_or_default().hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=MAX_NAME).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'#'))
            && !text.starts_with(['-', '.', '#']);
        if fits { Ok(Self(text.into())) } else { Err(InvalidName::name(text)) }
    }
}

impl From<&ServiceName> for Name {
    fn from(name: &ServiceName) -> Self {
        Self(name.as_str().into())
    }
}

impl From<ServiceName> for Name {
    fn from(name: ServiceName) -> Self {
        Self::from(&name)
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl Namespace {
    /// The one that is meant where none is named.
    pub const DEFAULT: &'static str = "default";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nobody else holds this very text.
    pub(crate) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Whether it is the one that is meant where none is named.
    pub fn is_default(&self) -> bool {
        &*self.0 == Self::DEFAULT
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
        if fits { Ok(Self(text.into())) } else { Err(InvalidName::namespace(text)) }
    }
}

impl InvalidName {
    fn name(text: &str) -> Self {
        let rule = "1 to 128 of A-Z, a-z, 0-9, '-', '_', '.' and '#', with a letter, a digit or '_' in front";
        Self { text: text.into(), kind: "name of a service or node", rule }
    }

    fn namespace(text: &str) -> Self {
        Self { text: text.into(), kind: "namespace", rule: "1 to 63 of a-z, 0-9, '-' and '_'" }
    }
}

impl ServiceKey {
    /// A service of the default namespace.
    pub fn of(name: impl Into<Name>) -> Self {
        Self { namespace: Namespace::default(), name: name.into() }
    }
}

impl CheckOwner {
    /// The node that it is, or that it is on.
    pub fn node(&self) -> &Name {
        match self {
            Self::Node(name) => name,
            Self::Instance(key) => &key.node,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_default() {
            write!(f, "{}", self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.node, self.id)
    }
}

impl fmt::Display for CheckKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}", self.id, self.owner)
    }
}

impl fmt::Display for CheckOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node {name}"),
            Self::Instance(key) => write!(f, "instance {key}"),
        }
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(Name, Namespace);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn names_keep_their_spelling_and_forget_it_when_compared() {
        let (upper, lower): (Name, Name) = ("Web-API".parse().unwrap(), "web-api".parse().unwrap());
        assert_eq!(upper, lower);
        assert_eq!(upper.to_string(), "Web-API");
        assert_eq!(HashSet::from([upper.clone(), lower.clone()]).len(), 1);
        assert_eq!(BTreeSet::from([upper.clone(), lower.clone()]).len(), 1);
        assert_eq!(upper.to_service_name(), Some("web-api".parse().unwrap()));
    }

    #[test]
    fn what_is_a_name() {
        for good in
            ["a", "Web", "my_db", "a.b.c", "_internal", "9", "app#127.0.0.1#3000", &"x".repeat(MAX_NAME)]
        {
            assert!(good.parse::<Name>().is_ok(), "{good:?}");
        }
        for bad in ["", "-a", ".a", "#a", "a b", "a/b", "ü", "a:b", &"x".repeat(MAX_NAME + 1)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
        let label = |text: &str| text.parse::<Name>().unwrap().is_dns_label();
        assert!(label("Web-1") && !label("my_db") && !label("a.b") && !label("a-"));
        assert!("my_db".parse::<Name>().unwrap().to_service_name().is_none());
    }
}
