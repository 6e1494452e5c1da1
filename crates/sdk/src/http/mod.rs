//! Helpers for a module's HTTP door: extractors and answers whose failures are problem documents.

mod extract;
mod failure;
mod page;

pub use extract::{Json, Path, Query, invalid};
pub use failure::{Failure, Reply};
pub use page::{Created, Page};

pub(crate) use failure::Cause;
