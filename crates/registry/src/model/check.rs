//! Checks: what is asked, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::labels::{Labels, Tags};
use super::names::{CheckKey, CheckOwner, Name};

/// The check that every node that is the platform's own has: whether it is there. It cannot be removed.
pub const NODE_CHECK: &str = "serfHealth";
/// Most of a check's output that is kept, in bytes.
pub const MAX_OUTPUT: usize = 4 << 10;
/// Shortest time after which a critical check removes its instance.
pub const MIN_DEREGISTER_AFTER: Duration = Duration::from_mins(1);
/// How long an active check waits for its answer unless it says otherwise.
pub const DEFAULT_CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// What a check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// All is well.
    Passing,
    /// It works, but not well: the instance takes the share of its warning weight.
    Warning,
    /// It does not work: the instance is DOWN.
    Critical,
}

/// What is checked, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckDefinition {
    /// Its id at its owner. Empty: `service:<id>`, or `service:<id>:1..n` for several; for a node the name.
    pub id: Arc<str>,
    /// For people. Empty: one is made.
    pub name: Arc<str>,
    /// For people.
    #[serde(default)]
    pub notes: Arc<str>,
    /// How it is found out.
    pub kind: CheckKind,
    /// Time from one question to the next, give or take `jitter`. No meaning for `Ttl`, `Reported` and `Alias`.
    pub interval: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Share of the interval, in percent (0 to 50), that a question may come early or late.
    pub jitter_percent: u8,
    /// Good answers in a row until it is passing; 0 and 1 mean at once.
    pub success_before_passing: u32,
    /// Bad answers in a row until it is warning; 0 means never before it is critical.
    pub failures_before_warning: u32,
    /// Bad answers in a row until it is critical; 0 and 1 mean at once.
    pub failures_before_critical: u32,
    /// Critical for so long, its instance is removed. At least a minute; looked at every 30 s. Has no meaning for a
    /// check of a node.
    pub deregister_after: Option<Duration>,
    /// What it says before anything is known. Consul's default is critical. No meaning for `Alias`.
    pub initial: CheckStatus,
    /// What the first answer says about itself, before anything ran.
    #[serde(default)]
    pub initial_output: Arc<str>,
}

/// How a check finds out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// Someone reports within this time, or it is critical.
    Ttl(Duration),
    /// Someone reports, whenever something changes. It never changes by itself (checks of external nodes).
    Reported,
    /// A request: 2xx is passing, 429 warning, all else critical.
    Http(HttpCheck),
    /// Whether `host:port` takes a connection.
    Tcp(Arc<str>),
    /// `Check` of the gRPC health protocol.
    Grpc(GrpcCheck),
    /// A command: exit code 0 is passing, 1 warning, all else critical. Refused unless [`crate::Options::commands`] is on.
    Command(CommandCheck),
    /// Nobody: it says the worst that is known of another instance and the node that it is on, or of a node: their
    /// checks, maintenance, and whether the instance is UP. Critical as long as that is not registered.
    Alias(CheckOwner),
}

/// A request that says whether something works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCheck {
    /// `http://` or `https://`.
    pub url: Arc<str>,
    /// GET if empty.
    pub method: Arc<str>,
    /// Sent along; a name may come more than once.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// Sent along.
    pub body: Arc<str>,
    /// For `https://`.
    pub tls: CheckTls,
}

/// A question to a gRPC server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrpcCheck {
    /// `host:port`.
    pub address: Arc<str>,
    /// The service that is asked for; empty: the whole server.
    pub service: Arc<str>,
    /// With TLS if there is something here.
    pub tls: Option<CheckTls>,
}

/// How the other end is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckTls {
    /// The name in its certificate, if not the host.
    pub server_name: Option<Arc<str>>,
    /// Any certificate will do.
    pub skip_verify: bool,
}

/// A command that says whether something works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandCheck {
    /// The program and its arguments; no shell.
    pub args: Vec<Arc<str>>,
    /// Its whole environment: nothing of the platform's is passed on, so the program is named by its path.
    pub env: Labels,
}

/// A check and what it says now.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckView {
    /// Whom it is about, and its id.
    pub key: CheckKey,
    /// What is checked.
    pub definition: Arc<CheckDefinition>,
    /// The service of the instance that it is about.
    pub service: Option<Name>,
    /// The tags of that instance.
    pub service_tags: Tags,
    /// What it says.
    pub status: CheckStatus,
    /// What the last answer was, at most [`MAX_OUTPUT`] bytes. A change of this alone raises no index.
    pub output: Arc<str>,
    /// The index at which it was made.
    pub create_index: u64,
    /// The index at which its status or definition last changed.
    pub modify_index: u64,
    /// Since when it has this status, in Unix milliseconds.
    pub since_unix_ms: i64,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckAnswer {
    /// What it means.
    pub status: CheckStatus,
    /// For people; cut to [`MAX_OUTPUT`] bytes.
    pub output: String,
}

impl CheckDefinition {
    /// A check with the usual settings.
    pub fn new(id: impl Into<Arc<str>>, kind: CheckKind) -> Self {
        Self {
            id: id.into(),
            name: "".into(),
            notes: "".into(),
            kind,
            interval: Duration::from_secs(10),
            timeout: DEFAULT_CHECK_TIMEOUT,
            jitter_percent: 10,
            success_before_passing: 0,
            failures_before_warning: 0,
            failures_before_critical: 0,
            deregister_after: None,
            initial: CheckStatus::Critical,
            initial_output: "".into(),
        }
    }

    /// Whether the platform asks, and nobody reports.
    pub fn is_active(&self) -> bool {
        !matches!(self.kind, CheckKind::Ttl(_) | CheckKind::Reported | CheckKind::Alias(_))
    }

    /// Whether it says what is known of another.
    pub fn is_alias(&self) -> bool {
        matches!(self.kind, CheckKind::Alias(_))
    }
}

impl CheckKind {
    /// What Consul calls it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ttl(_) => "ttl",
            Self::Reported => "",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Grpc(_) => "grpc",
            Self::Command(_) => "script",
            Self::Alias(_) => "alias",
        }
    }
}

impl CheckStatus {
    /// The name used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
