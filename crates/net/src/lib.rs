//! HTTP over the network: listeners and serving, connections to upstreams, clusters of endpoints, body tools, answers
//! that many share.
//!
//! Nothing in here knows a capability; the proxy and the SDK are both built on it.

pub mod answers;
pub mod body;
pub mod client;
pub mod cluster;
mod discovery;
mod guard;
pub mod headers;
mod listen;
mod outgoing;
mod prefixed;
pub mod problem;
pub mod refusal;
pub mod serve;
pub mod tcp;
mod through;
pub mod tls;
mod unread;

use http::{Request, Response};
use tower::util::BoxCloneSyncService;

pub use answers::{Answers, Cached, Index};
pub use client::{Pool, PoolOptions, Received};
pub use cluster::{Answer, Cluster, ClusterOptions};
pub use discovery::{RemoteDiscovery, ServiceWatch};
pub use listen::{bind, bind_udp, local_address};
pub use outgoing::{Outgoing, Progress};
pub use serve::{Client, Handler, PeerAddr, ServeOptions, Server, serve};
pub use unread::{ReadOn, Unread, read_on};

/// Every body of a module, in both directions: a stream of frames that ends or fails.
pub type Body = axum::body::Body;

/// The error of a body on its way, whoever made it fail.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The seam of the platform: a module, wherever it runs, is a service from a request to a response.
pub type ModuleService = BoxCloneSyncService<Request<Body>, Response<Body>, trellis_core::Error>;
