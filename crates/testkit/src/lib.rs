//! What the tests of the other crates stand on: real back ends on free ports, and the whole platform as a fixture.
//!
//! A back end whose programs are missing fails the test with the name of the package to install; nothing is skipped. No
//! server outlives the test process, even one that is killed.

mod daemon;
mod database;
mod gateway;
mod http;
mod kept;
mod link;
mod locks;
mod platform;
mod postgres;
mod program;
mod programs;
mod python;
mod redis;
mod scratch;
mod sessions;
mod smtp;
mod wait;

pub use database::Database;
pub use gateway::Gateway;
pub use http::{Answer, Call, Http};
pub use link::Link;
pub use locks::{Hold, LockHistory, Write};
pub use platform::{ModuleProcess, Platform, PlatformOptions};
pub use postgres::Postgres;
pub use program::Program;
pub use programs::{free_port, program, trellis};
pub use python::python;
pub use redis::Redis;
pub use sessions::{Absence, Bond, Ended, Life, SessionHistory};
pub use smtp::{Mail, SmtpSink};
pub use wait::wait_until;
