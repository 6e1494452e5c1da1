//! TLS towards upstreams.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::server::CertifiedFiles;
use super::{ALPN_H2, ALPN_HTTP1, TlsError, files};

/// What a [`ClientTls`] is made of.
#[derive(Debug, Clone, Default)]
pub struct ClientTlsOptions {
    /// PEM file with the authorities that are believed; the public ones if there is none.
    pub ca: Option<PathBuf>,
    /// Name that the other side has to prove; the host of its address if there is none.
    pub server_name: Option<String>,
    /// Our own certificate, if the other side asks for one.
    pub identity: Option<CertifiedFiles>,
    /// Believe anybody. For tests of somebody else's machine, never for what matters.
    pub insecure: bool,
    /// Speak HTTP/2 instead of HTTP/1.1.
    pub http2: bool,
}

/// How connections to an upstream are secured.
#[derive(Clone)]
pub struct ClientTls {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

/// Takes every certificate; signatures are still checked, so that the other side has the key of what it shows.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ClientTls {
    /// Reads all files.
    pub fn load(options: &ClientTlsOptions) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if options.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        } else {
            builder.with_root_certificates(match &options.ca {
                Some(path) => files::roots(path)?,
                None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
            })
        };
        let mut config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some(own) => {
                builder.with_client_auth_cert(files::chain(&own.certificate)?, files::key(&own.key)?)?
            }
        };
        config.alpn_protocols = vec![if options.http2 { ALPN_H2 } else { ALPN_HTTP1 }.to_vec()];
        let name =
            |name: &String| ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()));
        let server_name = options.server_name.as_ref().map(name).transpose()?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name })
    }

    /// The client's part of the handshake with whoever is at `authority` (`host:port`).
    pub(crate) async fn connect(
        &self,
        authority: &str,
        stream: TcpStream,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = if let Some(name) = &self.server_name {
            name.clone()
        } else {
            let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            ServerName::try_from(host.clone()).map_err(|_| TlsError::Name(host))?
        };
        self.connector.connect(name, stream).await
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
