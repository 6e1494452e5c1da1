//! The four shapes an application can run in.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an application's modules are run. The modules are the same in every phase.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Modules that share a command share one process and one database; calls between them stay in the process.
    Monolith,
    /// A process and a database for each module; calls go over the network.
    #[default]
    Microservices,
    /// Like microservices, with a proxy beside each that carries its calls.
    ServiceMesh,
    /// Modules are started on demand.
    Serverless,
}

/// A text that names no phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a phase: use monolith, microservices, service_mesh or serverless")]
pub struct UnknownPhase(String);

impl Phase {
    /// All phases, in the order an application grows through them.
    pub const ALL: [Self; 4] = [Self::Monolith, Self::Microservices, Self::ServiceMesh, Self::Serverless];

    /// The name used in `trellis.toml`, on the command line and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monolith => "monolith",
            Self::Microservices => "microservices",
            Self::ServiceMesh => "service_mesh",
            Self::Serverless => "serverless",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The seed writes SERVICE_MESH, people type service-mesh: both are meant.
        let name = text.to_ascii_lowercase().replace('-', "_");
        Self::ALL.into_iter().find(|p| p.as_str() == name).ok_or_else(|| UnknownPhase(text.into()))
    }
}
