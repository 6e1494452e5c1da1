//! TLS towards clients and towards upstreams, with material from files.

mod client;
mod files;
mod server;

use std::io;
use std::path::PathBuf;

pub use client::{ClientTls, ClientTlsOptions};
pub use server::{CertifiedFiles, MinVersion, ServerTls, ServerTlsOptions};

/// What HTTP/2 is called when a connection is set up (RFC 9113, section 3.3).
pub(crate) const ALPN_H2: &[u8] = b"h2";
pub(crate) const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or has nothing of what is looked for.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// What was read does not fit together.
    #[error("{0}")]
    Config(String),
    /// The name that the other side is to have is no host name or address.
    #[error("{0:?} is not a host name")]
    Name(String),
}

impl TlsError {
    fn file(path: &std::path::Path, why: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), why: why.to_string() }
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::other(error)
    }
}
