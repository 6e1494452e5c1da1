//! Certificates and keys in PEM files.

use std::path::Path;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use super::TlsError;

/// A certificate chain, the server's own first.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| TlsError::file(path, error))?;
    if certificates.is_empty() {
        return Err(TlsError::file(path, "there is no certificate in it"));
    }
    Ok(certificates)
}

/// A private key.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::file(path, error))
}

/// Certificates of those who are believed.
pub(super) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        roots.add(certificate).map_err(|error| TlsError::file(path, error))?;
    }
    Ok(roots)
}

/// When a file was last written, and how long it is: enough to see that it has changed.
pub(super) fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// The names that a certificate is for, in lower case.
pub(super) fn names(path: &Path, certified: &CertifiedKey) -> Result<Vec<String>, TlsError> {
    let own = certified.end_entity_cert().map_err(|error| TlsError::file(path, error))?;
    let parsed = EndEntityCert::try_from(own).map_err(|error| TlsError::file(path, error))?;
    Ok(parsed.valid_dns_names().map(str::to_ascii_lowercase).collect())
}
