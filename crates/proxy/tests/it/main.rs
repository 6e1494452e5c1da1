//! The gateway between real sockets.

mod aggregation;
mod clusters;
mod compression;
mod cors;
mod deliberate;
mod faults;
mod headers;
mod limits;
mod log;
mod metrics;
mod mirror;
mod routing;
mod smuggling;
mod streaming;
mod support;
mod swap;
mod tcp;
mod tls;
mod websocket;
