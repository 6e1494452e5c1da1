//! Where a proxy listens.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use trellis_core::{Error, codes};
use trellis_net::bind;

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

fn taken(listener: std::net::TcpListener) -> Result<TcpListener, Error> {
    let broken =
        |error| Error::new(codes::CANNOT_LISTEN, "an inherited socket cannot be used").because(error);
    listener.set_nonblocking(true).map_err(broken)?;
    TcpListener::from_std(listener).map_err(broken)
}
