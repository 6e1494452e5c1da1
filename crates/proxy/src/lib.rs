//! The data plane. In this form: the gateway, which takes requests from clients and leads each to a service, to fixed
//! addresses, or to several services at once whose answers it puts together.
//!
//! [`compile`] turns the routes of an application into a [`RouteTable`]; a [`Gateway`] serves it, and its [`Handle`]
//! swaps it under running requests. Services are found by watching a [`Discovery`](trellis_core::Discovery).

mod aggregate;
mod compile;
pub mod edge;
mod gateway;
pub mod metrics;
mod mistake;
mod options;
mod path;
mod table;

pub use compile::compile;
pub use gateway::{Doors, Gateway, Handle, Stats, TlsDoor};
pub use mistake::Mistake;
pub use options::Options;
pub use table::RouteTable;
