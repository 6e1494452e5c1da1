//! The Eureka door: the registry as programs see it that were written for Netflix's Eureka, such as those with Spring
//! Cloud Netflix, and Prometheus' `eureka_sd`.
//!
//! It speaks the REST operations of Eureka 1.x in JSON and XML, below `/eureka` (Spring's form) and `/eureka/v2`
//! (Netflix's). It translates: what is registered here is an instance like any other, what others register and what the
//! platform runs is seen here, and every rule is the registry's.
//!
//! Where the two differ:
//! - Eureka's ids are unique for each app, the registry's for each node. An id that another app has already is kept as
//!   `id@app` inside, and shown as it came.
//! - What Eureka knows of an instance and the registry has no field for (addresses of pages, virtual host names, data
//!   center and the like) is kept in labels that begin with `eureka.`, and given back as it came.
//! - `UNKNOWN` is taken for `STARTING`: neither takes traffic.
//! - An override (`PUT .../status`) is an operator's word. It is durable, and wins over whatever the instance says until
//!   it is taken back.
//! - Differences reach back for [`Options::delta_window`]. If the registry cannot reach back so far, the whole list is
//!   given as a difference, which is right for Eureka's clients: whoever still has something that is not in it finds
//!   that the hash code differs, and fetches everything.
//!
//! Servers do not copy themselves to each other through this door (`peerreplication` answers 501): trellis nodes share
//! one store.

mod door;
mod find;
mod gzip;
mod labels;
mod list;
mod names;
mod options;
mod read;
mod register;
mod show;

pub use door::router;
pub use options::Options;
pub use read::check;
