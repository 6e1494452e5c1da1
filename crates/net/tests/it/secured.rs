use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use trellis_core::{codes, model};
use trellis_net::client::Protocol;
use trellis_net::tls::{CertifiedFiles, MinVersion, ServerTls, ServerTlsOptions};
use trellis_net::{Body, BoxError, Client, Cluster, ClusterOptions, Handler, ServeOptions, Server};
use trellis_resilience::RetryPolicy;
use trellis_runtime::Shutdown;

use crate::support::{cluster_with, request, text};

const LONG: Duration = Duration::from_secs(10);

/// An authority, and a certificate of it for `svc.test`.
fn certificates(folder: &Path) -> CertifiedFiles {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(folder.join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["svc.test".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let (certificate, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, own.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    CertifiedFiles { certificate, key: key_file }
}

/// Says by which version it was asked.
#[derive(Clone)]
struct Version;

impl Handler for Version {
    type Body = http_body_util::combinators::BoxBody<Bytes, BoxError>;

    fn handle(
        &self,
        request: Request<Incoming>,
        client: Arc<Client>,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<> {
        let said = format!("{:?} {}", request.version(), client.secure);
        async { Response::new(http_body_util::Full::from(said).map_err(|never| match never {}).boxed()) }
    }
}

async fn secure(files: CertifiedFiles) -> SocketAddr {
    let options = ServerTlsOptions {
        certificates: vec![files],
        client_ca: None,
        http2: true,
        min_version: MinVersion::Tls12,
    };
    let tls = Arc::new(ServerTls::load(options).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(Version, ServeOptions::default()).over_tls(tls);
    tokio::spawn(server.run(listener, Shutdown::new()));
    address
}

fn settings(protocol: model::Protocol, server_name: Option<&str>) -> model::Cluster {
    let server_name = server_name.map(str::to_owned);
    let tls = model::UpstreamTls { ca: Some("ca.pem".into()), server_name, ..Default::default() };
    model::Cluster { protocol, tls: Some(tls), ..model::Cluster::new("svc".parse().unwrap()) }
}

fn to(address: SocketAddr, settings: &model::Cluster, folder: &Path) -> Cluster {
    let options = ClusterOptions::of(settings, &model::Gateway::default(), 1, folder).unwrap();
    cluster_with(&[address], options)
}

#[tokio::test]
async fn an_upstream_proves_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let address = secure(certificates(folder.path())).await;
    for (protocol, said) in
        [(model::Protocol::Http1, "HTTP/1.1 true"), (model::Protocol::Http2, "HTTP/2.0 true")]
    {
        let cluster = to(address, &settings(protocol, Some("svc.test")), folder.path());
        let answer = cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
        assert_eq!(text(answer.response).await, said);
        for wrong in [Some("other.test"), None] {
            let cluster = to(address, &settings(protocol, wrong), folder.path());
            let error = cluster.call(request(Method::GET, "/"), LONG).await.unwrap_err();
            assert_eq!(error.code(), codes::CONNECT_FAILED);
        }
    }
    let tls = model::UpstreamTls { server_name: Some("svc.test".into()), ..Default::default() };
    let of_the_web = model::Cluster { tls: Some(tls), ..settings(model::Protocol::Http1, None) };
    let error =
        to(address, &of_the_web, folder.path()).call(request(Method::GET, "/"), LONG).await.unwrap_err();
    assert_eq!(error.code(), codes::CONNECT_FAILED);
}

#[tokio::test]
async fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(model::Protocol::Http1, None);
    let error = ClusterOptions::of(&settings, &model::Gateway::default(), 1, folder.path()).unwrap_err();
    assert!(error.to_string().contains("ca.pem"), "{error}");
}

/// An HTTP/2 server that refuses so many streams before it answers one.
async fn refuses(times: u32) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
    let counts = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                if counts.fetch_add(1, Ordering::Relaxed) < times {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                } else {
                    respond.send_response(Response::new(()), true).unwrap();
                }
            }
        }
    });
    (address, asked)
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_whatever_the_method() {
    let (address, asked) = refuses(1).await;
    let mut options = ClusterOptions { retry: Some(Arc::new(RetryPolicy::default())), ..Default::default() };
    options.pool.protocol = Protocol::Http2;
    let cluster = cluster_with(&[address], options);
    let answer = cluster.call(request(Method::POST, "/"), LONG).await.unwrap();
    assert_eq!((answer.response.status().as_u16(), answer.attempts), (200, 2));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_refused_stream_is_not_sent_again_without_its_body() {
    let (address, asked) = refuses(1).await;
    let mut options = ClusterOptions { retry: Some(Arc::new(RetryPolicy::default())), ..Default::default() };
    options.pool.protocol = Protocol::Http2;
    let cluster = cluster_with(&[address], options);
    let mut put = request(Method::PUT, "/");
    *put.body_mut() = Body::from("gone");
    assert_eq!(cluster.call(put, LONG).await.unwrap_err().code(), codes::UPSTREAM_RESET);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(cluster.call(request(Method::GET, "/"), LONG).await.unwrap().response.status(), 200);
}
