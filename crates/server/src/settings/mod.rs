//! The effective configuration: every value, and where it came from. Later layers win: the default, `trellis.toml`,
//! the environment, the command line.

mod effective;
mod listens;
mod origin;
mod overrides;

pub use effective::{Setting, effective};
pub use listens::{LISTENS, Listen, Listens};
pub use origin::Origin;
pub use overrides::{Given, Overrides};
