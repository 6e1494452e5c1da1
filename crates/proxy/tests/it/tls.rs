//! TLS towards clients: names, versions of HTTP, certificates that change.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use trellis_net::tls::{CertifiedFiles, MinVersion, ServerTls, ServerTlsOptions};
use trellis_proxy::{Doors, Gateway, Options, TlsDoor};
use trellis_runtime::Shutdown;

use crate::support::{Answer, Registry, echo, model, soon, table, until};

/// An authority that everybody here believes.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Writes `NAME.pem` and `NAME.key`.
    fn certify(&self, folder: &Path, name: &str, hosts: &[&str]) -> CertifiedFiles {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(hosts).expect("names").signed_by(&key, &self.0);
        let files = CertifiedFiles {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        std::fs::write(&files.certificate, certificate.expect("a certificate").pem()).expect("a file");
        std::fs::write(&files.key, key.serialize_pem()).expect("a file");
        files
    }

    async fn connect(
        &self,
        to: SocketAddr,
        name: &str,
        protocol: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.0.der().to_vec())).expect("a root");
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(to).await?;
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

struct Secure {
    address: SocketAddr,
    shutdown: Shutdown,
    _folder: TempDir,
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// A gateway that shows `certificates`, with everything led to an echo.
async fn secure(folder: TempDir, certificates: Vec<CertifiedFiles>) -> Secure {
    let manifest = "[gateway]\nworkers = 2\n[[route]]\npath = '/**'\nservice = 's'";
    let registry = Arc::new(Registry::default());
    registry.set("s", &[echo().await]);
    let options = Options::from(&model(manifest).gateway);
    let (gateway, _handle) = Gateway::new(options, table(manifest), registry).expect("a gateway");
    let options =
        ServerTlsOptions { certificates, client_ca: None, http2: true, min_version: MinVersion::Tls12 };
    let tls = Arc::new(ServerTls::load(options).expect("TLS"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let door = TlsDoor { listener, tls, reload: Duration::from_millis(20) };
    let shutdown = Shutdown::new();
    let serving = gateway.serve(Doors { plain, tls: Some(door), tcp: Vec::new() }, shutdown.clone());
    tokio::spawn(async { serving.await.expect("serving") });
    Secure { address, shutdown, _folder: folder }
}

fn request() -> Request<Body> {
    Request::get("/x").header("host", "shop.example").body(Body::empty()).expect("a request")
}

#[tokio::test]
async fn each_name_has_its_certificate_and_both_versions_of_http_are_spoken() {
    let (folder, authority) = (TempDir::new().expect("a folder"), Authority::new());
    let shop = authority.certify(folder.path(), "shop", &["shop.example", "*.shop.example"]);
    let other = authority.certify(folder.path(), "other", &["other.example"]);
    let gateway = secure(folder, vec![shop, other]).await;
    for name in ["shop.example", "a.shop.example", "other.example"] {
        let stream = authority.connect(gateway.address, name, b"http/1.1").await.expect(name);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
        tokio::spawn(connection);
        let answer = Answer::read(soon(sender.send_request(request())).await.expect("an answer")).await;
        assert!(answer.text.contains("x-forwarded-proto") && answer.text.contains("https"), "{answer:?}");
    }
    // Nobody has a certificate for this one; the first is shown, and the client does not take it.
    assert!(authority.connect(gateway.address, "third.example", b"http/1.1").await.is_err());

    let stream = authority.connect(gateway.address, "shop.example", b"h2").await.expect("a connection");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    let request = Request::get("https://shop.example/y").body(Body::empty()).expect("a request");
    let answer = Answer::read(soon(sender.send_request(request)).await.expect("an answer")).await;
    assert_eq!(answer.json()["target"], "/y");
}

#[tokio::test]
async fn a_changed_certificate_is_shown_to_new_connections_and_a_broken_one_changes_nothing() {
    let (folder, authority) = (TempDir::new().expect("a folder"), Authority::new());
    let path = folder.path().to_owned();
    let files = authority.certify(&path, "shop", &["old.example"]);
    let gateway = secure(folder, vec![files.clone()]).await;
    let stream = authority.connect(gateway.address, "old.example", b"http/1.1").await.expect("a connection");
    let (mut open, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);

    std::fs::write(&files.certificate, "no certificate").expect("a file");
    for _ in 0..3 {
        assert!(authority.connect(gateway.address, "old.example", b"http/1.1").await.is_ok());
    }
    authority.certify(&path, "shop", &["renewed.example"]);
    until(async || authority.connect(gateway.address, "renewed.example", b"http/1.1").await.is_ok()).await;
    // Whoever is connected stays so.
    let answer = Answer::read(soon(open.send_request(request())).await.expect("an answer")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_is_refused_at_once() {
    let (folder, authority) = (TempDir::new().expect("a folder"), Authority::new());
    let one = authority.certify(folder.path(), "one", &["one.example"]);
    let two = authority.certify(folder.path(), "two", &["two.example"]);
    let certificates = vec![CertifiedFiles { certificate: one.certificate, key: two.key }];
    let options =
        ServerTlsOptions { certificates, client_ca: None, http2: true, min_version: MinVersion::Tls13 };
    let error = ServerTls::load(options).expect_err("a wrong key").to_string();
    assert!(error.contains("two.key") && error.contains("one.pem"), "{error}");
}
