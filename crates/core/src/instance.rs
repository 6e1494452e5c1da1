//! A running copy of a service, as the registry knows it.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::ServiceName;

/// Identifies one instance across all services. Stable over restarts of the same slot (`orders-2`), so that what an
/// operator said of an instance still holds after it comes back. 1 to 128 visible ASCII characters, no `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct InstanceId(Arc<str>);

/// Why a text is not an [`InstanceId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an instance id has 1 to 128 visible ASCII characters and no '/'")]
pub struct InvalidInstanceId;

/// What is known of an instance's ability to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Announced, not yet ready.
    Starting,
    /// Ready: the only status that receives traffic.
    Up,
    /// Known not to answer.
    Down,
    /// Taken out by an operator; liveness cannot bring it back.
    OutOfService,
}

/// One running copy of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceInstance {
    /// Unique across all services.
    pub id: InstanceId,
    /// The service it is a copy of.
    #[serde(rename = "name")]
    pub service: ServiceName,
    /// Host name or address, without port or brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Free labels.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Share of traffic relative to its siblings; 0 takes none.
    #[serde(default = "default_weight")]
    pub weight: u32,
    /// Failure domain, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The operator's override if there is one, else what liveness says.
    pub status: Status,
}

fn default_weight() -> u32 {
    1
}

impl InstanceId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ServiceInstance {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 4] = [Self::Starting, Self::Up, Self::Down, Self::OutOfService];

    /// The name used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Up => "UP",
            Self::Down => "DOWN",
            Self::OutOfService => "OUT_OF_SERVICE",
        }
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.to_ascii_uppercase().replace('-', "_");
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == name)
            .ok_or_else(|| format!("{text:?} is not a status: use UP, DOWN, OUT_OF_SERVICE or STARTING"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for InstanceId {
    type Err = InvalidInstanceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if fits { Ok(Self(text.into())) } else { Err(InvalidInstanceId) }
    }
}

impl<'de> Deserialize<'de> for InstanceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Borrow<str> for InstanceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
