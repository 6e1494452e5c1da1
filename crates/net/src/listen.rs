//! Binding sockets.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::{TcpListener, UdpSocket};
use trellis_core::error::Result;
use trellis_core::{Error, codes};

/// Binds `address`. The error names `setting`, where the address came from, and says what to change.
pub async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| refused(setting, address, error))
}

/// The same for datagrams.
pub async fn bind_udp(setting: &str, address: SocketAddr) -> Result<UdpSocket> {
    UdpSocket::bind(address).await.map_err(|error| refused(setting, address, error))
}

fn refused(setting: &str, address: SocketAddr, error: std::io::Error) -> Error {
    let why = match error.kind() {
        ErrorKind::AddrInUse => "another process listens there; stop it or choose another port",
        ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose a higher one",
        ErrorKind::AddrNotAvailable => "this machine has no such address; use 127.0.0.1",
        _ => "the system refused",
    };
    Error::new(codes::CANNOT_LISTEN, format!("cannot listen on {address} (setting `{setting}`): {why}"))
        .because(error)
}

/// The address a listener got, which matters when it asked for port 0.
pub fn local_address(listener: &TcpListener) -> Result<SocketAddr> {
    listener
        .local_addr()
        .map_err(|error| Error::new(codes::CANNOT_LISTEN, "a listener has no address").because(error))
}
