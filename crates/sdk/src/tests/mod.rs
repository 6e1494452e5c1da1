//! The SDK as its users see it: the same calls to a module in the process and over the network.

mod config;
mod module;
mod outbound;
mod parity;
mod service;
mod support;
