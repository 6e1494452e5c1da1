//! Child processes: started in the order of their needs, watched, restarted, stopped, and never left behind.
//!
//! [`Supervisor`] runs them, [`Handle`] tells how they are, an [`Observer`] is told what happens. The program that
//! uses this crate lends itself twice: as the [`launch`]er of every child and as the [`guardian`] of them all.

mod board;
mod command;
mod driver;
mod error;
mod event;
mod exit;
mod guard;
pub mod guardian;
pub mod launch;
mod lifecycle;
mod lines;
mod output;
mod plan;
mod ports;
mod prepared;
mod probe;
mod running;
mod sockets;
mod spawner;
mod spec;
mod status;
mod supervisor;

pub use command::resolve_command;
pub use error::Error;
pub use event::{Observer, ProcessEvent, Stream};
pub use ports::listen;
pub use spec::{Options, ProcessSpec};
pub use status::{Handle, NotReady, ProcessState, ProcessStatus};
pub use supervisor::Supervisor;
