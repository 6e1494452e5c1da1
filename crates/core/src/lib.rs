//! Types that cross a crate seam or a wire, the error every layer speaks, and the traits where capabilities meet.
//!
//! There is no I/O and no async runtime in here: `tokio` is used for its channel types only.

pub mod codes;
pub mod discovery;
pub mod duration;
pub mod endpoint;
pub mod error;
pub mod headers;
pub mod instance;
pub mod model;
pub mod name;
pub mod phase;
pub mod problem;
pub mod share;
pub mod trace;

pub use codes::Code;
pub use discovery::{Discovery, EndpointWatch};
pub use duration::HumanDuration;
pub use endpoint::{Endpoint, EndpointSet};
pub use error::{Blame, Error, Retry};
pub use instance::{InstanceId, ServiceInstance, Status};
pub use name::ServiceName;
pub use phase::Phase;
pub use problem::Problem;
pub use share::Share;
pub use trace::TraceContext;
