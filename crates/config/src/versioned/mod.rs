//! Versioned configuration: keys of an app and an environment, with history, schemas, gray releases and secrets.

mod address;
pub(crate) mod change;
mod condition;
mod diff;
mod facade;
pub(crate) mod gray;
pub(crate) mod history;
pub(crate) mod item;
pub(crate) mod schema;
pub(crate) mod seal;
mod told;
mod view;
mod watch;
mod write;

pub use address::{Address, Space};
pub use change::{Author, Change, Format};
pub use condition::Condition;
pub use diff::{DiffView, Difference, diff};
pub use gray::{Instance, Rule};
pub use history::{AuditView, VersionView};
pub use schema::{SchemaView, Violation};
pub use seal::Keys;
pub use told::{Form, Told};
pub use view::{ItemView, ListView};
pub use watch::{Update, Watch};
pub use write::{Edit, Written};
