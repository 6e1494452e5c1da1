//! The registry's door for DNS: services, nodes and addresses under the names that Consul gives them, over UDP and TCP.
//!
//! It translates: [`answer`] is a pure function from a packet and the registry's snapshots to a packet, and the rest is
//! sockets. What takes traffic is decided by the registry. Names outside the domain are refused; this is no resolver.

mod answer;
mod error;
mod lookup;
mod options;
mod question;
mod reply;
mod request;
mod service;
mod snapshots;
mod stats;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod zone;

pub use answer::{Outcome, Transport, answer};
pub use error::Error;
pub use options::{Options, Soa};
pub use service::{Handle, Service, bind};
pub use snapshots::Snapshots;
pub use stats::Stats;
pub use zone::Zone;
