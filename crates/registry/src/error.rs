//! What the registry refuses, and why.

use trellis_core::error::Result as CoreResult;
use trellis_core::{Code, InstanceId, codes};

use crate::model::names::{CheckKey, InstanceKey, Name, ServiceKey};

/// One fault in a registration: the JSON pointer of the member and what is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer into the registration, such as `/port`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: String,
}

/// Why the registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such instance is registered.
    #[error("no instance {0} is registered; its lease may have ended: register it again")]
    UnknownInstance(InstanceId),
    /// No such service is registered.
    #[error("no instance of a service {0} is registered")]
    UnknownService(ServiceKey),
    /// No such instance is registered, with its namespace and node.
    #[error("no instance {0} is registered; its lease may have ended: register it again")]
    UnknownKey(InstanceKey),
    /// The instance is there, but its service has a name that routes and the native API cannot use.
    #[error(
        "the service of instance {0} has a name that is no DNS label, so it is only shown by the catalog"
    )]
    NotShown(InstanceKey),
    /// No such node is registered.
    #[error("no node {0} is registered; register it first")]
    UnknownNode(Name),
    /// No such check is registered.
    #[error("no check {0} is registered")]
    UnknownCheck(CheckKey),
    /// The check is one that the platform runs itself.
    #[error("the check {0} is run by the platform, so it cannot be reported; only TTL checks can")]
    NotReported(CheckKey),
    /// The platform's own node, or its own check.
    #[error("{0} belongs to the platform and can neither be replaced nor removed")]
    Own(String),
    /// The platform runs this instance; nobody else registers or removes it.
    #[error("{0} is run by the platform, which registers and removes it; use another id")]
    Managed(InstanceId),
    /// The registration is not valid.
    #[error("the registration is not valid: {}", .0.iter().map(|f| format!("{}: {}", f.pointer, f.detail)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Fault>),
    /// There is no room for another instance.
    #[error("{0} instances are registered and no more fit; raise [registry] max_instances")]
    TooManyInstances(usize),
    /// There is no room for another of something else.
    #[error("{count} {what} are registered and no more fit; raise [registry] {key}")]
    Full {
        /// How many there are.
        count: usize,
        /// Of what.
        what: &'static str,
        /// The setting that limits them.
        key: &'static str,
    },
    /// There is no room for another override.
    #[error(
        "{0} overrides are set and no more fit; clear those of instances that are gone (GET /v1/overrides lists them)"
    )]
    TooManyOverrides(usize),
    /// Too many services without an instance are watched.
    #[error("{0} services that have no instance are watched and no more can be; are the names right?")]
    TooManyWatches(usize),
    /// Too many different things are waited for.
    #[error("{0} different things are waited for and no more can be; raise [registry] max_topics")]
    TooManyTopics(usize),
    /// Too many requests wait for a change.
    #[error(
        "{0} requests wait for a change of an endpoint set and no more may; try again soon, or ask without wait"
    )]
    TooManyWaiters(usize),
    /// The registry has stopped, or is about to.
    #[error("the registry is stopping; ask again when it is back")]
    Stopping,
    /// What was asked for could not be written down, so it was not done. It may still show after a restart, so ask again.
    #[error("what was asked for could not be written down, so it was not done; ask again")]
    Store(#[source] trellis_storage::Error),
}

/// The result of what is asked of the registry.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The platform's code for this.
    pub fn code(&self) -> Code {
        match self {
            Self::UnknownInstance(_)
            | Self::UnknownKey(_)
            | Self::NotShown(_)
            | Self::UnknownService(_)
            | Self::UnknownNode(_)
            | Self::UnknownCheck(_) => codes::NOT_FOUND,
            Self::Managed(_) | Self::Own(_) | Self::NotReported(_) => codes::CONFLICT,
            Self::Invalid(_) => codes::INVALID_INPUT,
            Self::TooManyInstances(_)
            | Self::Full { .. }
            | Self::TooManyOverrides(_)
            | Self::TooManyWatches(_) => codes::REGISTRY_FULL,
            Self::TooManyWaiters(_) | Self::TooManyTopics(_) => codes::OVERLOADED,
            Self::Stopping => codes::SHUTTING_DOWN,
            Self::Store(error) => trellis_core::Error::from(error.clone()).code(),
        }
    }
}

impl From<Error> for trellis_core::Error {
    fn from(error: Error) -> Self {
        let public = Self::new(error.code(), error.to_string());
        match error {
            Error::Invalid(faults) => {
                let list = faults
                    .into_iter()
                    .map(|f| serde_json::json!({ "pointer": f.pointer, "detail": f.detail }));
                public.with("errors", list.collect::<Vec<_>>())
            }
            Error::Store(source) => Self::from(source),
            _ => public,
        }
    }
}

/// Shorthand for the foundation's result.
pub(crate) type Core<T> = CoreResult<T>;
