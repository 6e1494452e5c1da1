//! Why the door does not open.

use trellis_core::codes;

/// Why the door does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain is none.
    #[error(
        "{0:?} is no domain (setting `dns.domain`): use labels of letters, digits and '-' with dots between, such as consul"
    )]
    Domain(String),
    /// The data centre is no label.
    #[error("{0:?} is no data centre (setting `dns.datacenter`): use letters, digits and '-', such as dc1")]
    Datacenter(String),
    /// The address cannot be used.
    #[error(transparent)]
    Listen(trellis_core::Error),
}

impl From<Error> for trellis_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Domain(_) | Error::Datacenter(_) => Self::new(codes::INVALID_MANIFEST, error.to_string()),
            Error::Listen(error) => error,
        }
    }
}
