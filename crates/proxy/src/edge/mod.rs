//! What the gateway does at its edge, for clients: CORS, compression, forwarded headers, refusals of gRPC, WebSocket
//! handshakes.
//!
//! Each module is pure: it is given headers and decides, or changes them; it opens nothing, waits for nothing and reads
//! no clock. The engine in [`gateway`](crate::Gateway) calls them.

pub mod compress;
pub mod cors;
pub mod forwarded;
pub mod grpc;
mod headers;
pub mod websocket;
