//! The gateway between real sockets.

mod aggregation;
mod faults;
mod headers;
mod log;
mod routing;
mod smuggling;
mod streaming;
mod support;
mod swap;
mod tcp;
mod tls;
