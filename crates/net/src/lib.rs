//! HTTP over the network: listeners and serving, pooled upstream connections, clusters of endpoints, body tools.
//!
//! Nothing in here knows a capability; the proxy and the SDK are both built on it.

pub mod body;
pub mod client;
pub mod cluster;
pub mod headers;
mod listen;
pub mod problem;
pub mod serve;
mod unread;

use http::{Request, Response};
use tower::util::BoxCloneSyncService;

pub use client::{Pool, PoolOptions};
pub use cluster::{Answer, Cluster, ClusterOptions};
pub use listen::{bind, local_address};
pub use serve::{PeerAddr, ServeOptions, serve};

/// Every body, in both directions: a stream of frames that ends or fails.
pub type Body = axum::body::Body;

/// The seam of the platform: a module, wherever it runs, is a service from a request to a response.
pub type ModuleService = BoxCloneSyncService<Request<Body>, Response<Body>, trellis_core::Error>;
