//! Where a proxy listens.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use trellis_core::model::MeshTls;
use trellis_core::{Error, codes};
use trellis_net::bind;
use trellis_net::tls::{CertifiedFiles, MinVersion, ServerTls, ServerTlsOptions};
use trellis_proxy::{Doors, TlsDoor};

/// How often the certificate's files are looked at for changes.
const RELOAD: Duration = Duration::from_secs(5);

/// Where a proxy is to listen.
#[derive(Debug)]
pub enum Sockets {
    /// At addresses of its own.
    Addresses {
        /// For other proxies and the gateway.
        inbound: SocketAddr,
        /// For the instance.
        outbound: SocketAddr,
        /// For operators.
        admin: SocketAddr,
    },
    /// On listeners that whoever started it has bound: admin, inbound, outbound. Connections wait in them while the
    /// proxy is started again.
    Inherited([std::net::TcpListener; 3]),
}

/// What it listens on.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) inbound: TcpListener,
    pub(super) outbound: TcpListener,
    pub(super) admin: TcpListener,
}

impl Sockets {
    pub(super) async fn open(self) -> Result<Opened, Error> {
        match self {
            Self::Addresses { inbound, outbound, admin } => Ok(Opened {
                inbound: bind("--inbound", inbound).await?,
                outbound: bind("--outbound", outbound).await?,
                admin: bind("--admin-listen", admin).await?,
            }),
            Self::Inherited([admin, inbound, outbound]) => {
                Ok(Opened { inbound: taken(inbound)?, outbound: taken(outbound)?, admin: taken(admin)? })
            }
        }
    }
}

/// What is behind the inbound socket: with `files`, TLS that only lets those in who have a certificate themselves.
pub(super) async fn entrance(inbound: TcpListener, files: Option<&MeshTls>) -> Result<Doors, Error> {
    let Some(files) = files else { return Ok(Doors { plain: inbound, tls: None, tcp: Vec::new() }) };
    let options = ServerTlsOptions {
        certificates: vec![CertifiedFiles { certificate: (&files.cert).into(), key: (&files.key).into() }],
        client_ca: Some((&files.ca).into()),
        http2: true,
        min_version: MinVersion::Tls13,
    };
    let tls = ServerTls::load(options).map_err(|error| {
        Error::new(codes::CERTIFICATE_UNUSABLE, format!("mesh.tls: {error}")).because(error)
    })?;
    // The engine wants one in the clear as well. This one is told to nobody, and leads where the instance's own port does.
    let plain = bind("--inbound", SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let tls = TlsDoor { listener: inbound, tls: Arc::new(tls), reload: RELOAD };
    Ok(Doors { plain, tls: Some(tls), tcp: Vec::new() })
}

/// Refuses an address that others on the network can reach, for a door that asks nobody who they are.
pub(super) fn guarded(setting: &str, address: SocketAddr) -> Result<(), Error> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let what = format!("`{setting}` is {address}, which others on the network can reach");
    let help = ["use a loopback address such as 127.0.0.1", "inbound may be open with `[mesh] tls`"];
    Err(Error::new(codes::EXPOSED_WITHOUT_AUTH, what).with("help", help.to_vec()))
}

fn taken(listener: std::net::TcpListener) -> Result<TcpListener, Error> {
    let broken =
        |error| Error::new(codes::CANNOT_LISTEN, "an inherited socket cannot be used").because(error);
    listener.set_nonblocking(true).map_err(broken)?;
    TcpListener::from_std(listener).map_err(broken)
}
