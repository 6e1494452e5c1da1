//! HTTP/1.1 towards an upstream, without a task of its own.
//!
//! The usual client gives each connection a task that every request and every answer has to wake, through two channels.
//! Here a connection is polled by the request that it carries, in the same task, and the request stays with its sender:
//! what was not sent can be sent again without having been copied first. `docs/performance.md` has what that saves.

mod decode;
mod encode;
mod head;
mod pump;
#[cfg(test)]
mod tests;
mod wire;

pub(super) use pump::{Pumped, pump};
pub(super) use wire::{ExchangeError, Exchanged, Wire};

use std::io;

/// Why an upstream's answer is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// It was closed before the answer was whole.
    #[error("the connection was closed in the middle of {0}")]
    Closed(&'static str),
    /// What came is not HTTP/1.1, or can be read in two ways.
    #[error("not valid HTTP/1.1: {0}")]
    Invalid(&'static str),
    /// The head of the answer is over the limit.
    #[error("the head of the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The request's own body failed.
    #[error("the request's body broke off: {0}")]
    Body(#[source] crate::BoxError),
    /// The request cannot be put into words.
    #[error("the request cannot be sent: {0}")]
    Request(&'static str),
}
