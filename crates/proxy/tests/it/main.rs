//! The gateway between real sockets.

mod aggregation;
mod clusters;
mod faults;
mod headers;
mod log;
mod routing;
mod smuggling;
mod streaming;
mod support;
mod swap;
