//! A certificate for the TLS run, made anew each time and believed by nobody but the load.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where the certificate's parts are, as PEM.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    /// The certificate.
    pub(super) cert: PathBuf,
    /// Its key (ECDSA P-256).
    pub(super) key: PathBuf,
    /// Both in one file, as HAProxy wants them.
    pub(super) both: PathBuf,
}

impl Certificate {
    /// Makes one for loopback and writes it into `folder`.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let write = |name: &str, text: &str| -> Result<PathBuf> {
            let file = folder.join(name);
            std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
            Ok(file)
        };
        Ok(Self {
            cert: write("cert.pem", &cert)?,
            key: write("key.pem", &key)?,
            both: write("cert-and-key.pem", &format!("{cert}{key}"))?,
        })
    }
}
