//! What a Rust service imports.
//!
//! ```no_run
//! use trellis_sdk::{Module, Parts, Service, axum};
//!
//! fn main() -> std::process::ExitCode {
//!     Service::new("hello").module(Module::new("hello", &[], async |_context| {
//!         let router = axum::Router::new().route("/hello", axum::routing::get(async || "hello"));
//!         Ok(Parts::new(router))
//!     })).main()
//! }
//! ```
//!
//! A [`Module`] is a part of an application: a name, migrations, and a function that builds its router from a
//! [`Context`]. A [`Service`] is a process that hosts one or more of them. Modules call each other through
//! [`MeshClient`], which goes over the network or stays in the process: the caller cannot tell.

mod cache;
mod config;
pub mod context;
mod events;
pub mod http;
mod mesh;
mod module;
mod service;

pub use axum;
pub use trellis_core as core;
pub use trellis_runtime as runtime;
pub use trellis_storage as database;

pub use cache::Cache;
pub use config::{Config, ConfigOptions, Live};
pub use events::{Event, EventBus, Subscription};
pub use mesh::{Call, CallError, HttpClient, MeshClient, ServiceClient};
pub use module::{Context, Module, Parts, Settings};
pub use service::{DatabaseConfig, RedisConfig, Service, ServiceConfig};
pub use trellis_net::Body;

#[cfg(test)]
mod tests;
