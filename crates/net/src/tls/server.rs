//! TLS towards clients: certificates by name, read anew when their files change.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{ALPN_H2, ALPN_HTTP1, TlsError, files};

/// A certificate chain and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedFiles {
    /// PEM file with the chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// The oldest TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// What a [`ServerTls`] is made of.
#[derive(Debug, Clone)]
pub struct ServerTlsOptions {
    /// A client is shown the one whose names have the name it asks for; the first if none does.
    pub certificates: Vec<CertifiedFiles>,
    /// PEM file with the authorities whose clients are let in; everybody is if there is none.
    pub client_ca: Option<PathBuf>,
    /// Offer HTTP/2.
    pub http2: bool,
    /// The oldest version that is spoken.
    pub min_version: MinVersion,
}

/// TLS for a listener. Connections that are set up keep what they were set up with.
#[derive(Debug)]
pub struct ServerTls {
    options: ServerTlsOptions,
    provider: Arc<CryptoProvider>,
    /// Outlives a change of certificates, so that sessions can be taken up again.
    tickets: Arc<dyn ProducesTickets>,
    current: ArcSwap<ServerConfig>,
    stamps: Mutex<Stamps>,
}

static NEWEST: &[&SupportedProtocolVersion] = &[&version::TLS13];

type Stamps = Vec<Option<(SystemTime, u64)>>;

/// Chooses a certificate by the name that the client asks for.
#[derive(Debug)]
struct ByName {
    names: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl ServerTls {
    /// Reads all files.
    pub fn load(options: ServerTlsOptions) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tickets = rustls::crypto::ring::Ticketer::new()?;
        let stamps = Mutex::new(options.stamps());
        let config = options.config(&provider, &tickets)?;
        Ok(Self { options, provider, tickets, current: ArcSwap::from_pointee(config), stamps })
    }

    /// Reads the files again if one of them has changed; says whether it has. If they cannot be used, what was read
    /// before stays in force.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let mut known = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = self.options.stamps();
        if *known == stamps {
            return Ok(false);
        }
        let config = self.options.config(&self.provider, &self.tickets)?;
        // Files that do not fit together yet are looked at again next time.
        *known = stamps;
        self.current.store(Arc::new(config));
        Ok(true)
    }

    /// The server's part of the handshake.
    pub(crate) fn accept(
        &self,
        stream: TcpStream,
    ) -> impl Future<Output = std::io::Result<TlsStream<TcpStream>>> + use<> {
        TlsAcceptor::from(self.current.load_full()).accept(stream)
    }
}

impl ServerTlsOptions {
    fn stamps(&self) -> Stamps {
        let paths = self.certificates.iter().flat_map(|files| [&files.certificate, &files.key]);
        paths.chain(&self.client_ca).map(|path| files::stamp(path)).collect()
    }

    fn config(
        &self,
        provider: &Arc<CryptoProvider>,
        tickets: &Arc<dyn ProducesTickets>,
    ) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(self.min_version.and_newer())?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(files::roots(path)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::file(path, error))?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(self.by_name(provider)?));
        config.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
        if self.http2 {
            config.alpn_protocols.insert(0, ALPN_H2.to_vec());
        }
        config.ticketer = Arc::clone(tickets);
        // Taking up a session costs less than setting one up; two tickets are enough for one client.
        config.send_tls13_tickets = 2;
        Ok(config)
    }

    fn by_name(&self, provider: &CryptoProvider) -> Result<ByName, TlsError> {
        let mut names = HashMap::new();
        let mut default = None;
        for files in &self.certificates {
            let certified = Arc::new(files.read(provider)?);
            for name in files::names(&files.certificate, &certified)? {
                names.entry(name).or_insert_with(|| Arc::clone(&certified));
            }
            default.get_or_insert(certified);
        }
        let default = default.ok_or_else(|| TlsError::Config("there is no certificate".into()))?;
        Ok(ByName { names, default })
    }
}

impl CertifiedFiles {
    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let chain = files::chain(&self.certificate)?;
        let key = files::key(&self.key)?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::file(&self.key, format!("is not the key of {}", self.certificate.display()))
            }
            other => TlsError::file(&self.key, other),
        })
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name() else { return Some(Arc::clone(&self.default)) };
        let exact = self.names.get(name);
        // A wildcard stands for one label (RFC 6125, section 6.4.3).
        let wild = || name.split_once('.').and_then(|(_, rest)| self.names.get(&format!("*.{rest}")));
        Some(Arc::clone(exact.or_else(wild).unwrap_or(&self.default)))
    }
}

impl MinVersion {
    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => rustls::ALL_VERSIONS,
            Self::Tls13 => NEWEST,
        }
    }
}
