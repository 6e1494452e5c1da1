//! One SQL store on SQLite (embedded) and PostgreSQL (shared): the same statements, the same errors, the same promises.
//!
//! A write is acknowledged after its commit returned; many writes share one synced commit: on SQLite all, on PostgreSQL
//! ordered ones. What they announce is heard by everyone who shares the database ([`feed`]), and who that is, is known
//! ([`members`]). Callers never see the driver: they give SQL with `$1` placeholders and [`Value`]s, and get [`Row`]s.

mod error;
pub mod feed;
pub mod members;
mod migration;
mod options;
mod postgres;
mod row;
mod sqlite;
mod statement;
mod store;
mod tx;
mod value;
mod work;
mod writer;

pub use error::Error;
pub use feed::{Change, Feed, FeedBatch, FeedOptions, FeedState};
pub use futures_util::future::BoxFuture;
pub use migration::Migration;
pub use options::{Dialect, Options};
pub use row::{FromRow, FromValue, Row};
pub use store::Store;
pub use tx::Tx;
pub use value::{Params, Value};
