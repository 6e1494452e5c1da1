//! The sockets of the gateway, and the files that its TLS needs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use trellis_core::model::{AppModel, Tls, TlsVersion};
use trellis_core::{Error, codes};
use trellis_net::tls::{CertifiedFiles, MinVersion, ServerTls, ServerTlsOptions};
use trellis_net::{bind, local_address};
use trellis_proxy::{Doors, RouteTable, TlsDoor};

use crate::gateway::Inherited;

/// Where clients are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// In the clear.
    pub(crate) plain: SocketAddr,
    /// Over TLS.
    pub(crate) tls: Option<SocketAddr>,
    /// As bytes, with where each is written.
    pub(crate) tcp: Vec<(String, SocketAddr)>,
}

/// The sockets again, to be handed to whoever comes after.
pub(crate) type Copies = Vec<(String, std::net::TcpListener)>;

/// Opens every socket and reads every file that `[gateway]` and `[[tcp]]` name. Relative paths start from `directory`.
pub(crate) async fn open(
    model: &AppModel,
    table: &RouteTable,
    directory: &Path,
    inherited: &mut Inherited,
) -> Result<(Doors, Addresses), Error> {
    let plain = listen("gateway.listen", model.gateway.listen, inherited).await?;
    let mut addresses = Addresses { plain: local_address(&plain)?, tls: None, tcp: Vec::new() };
    let tls = match &model.gateway.tls {
        None => None,
        Some(settings) => {
            let listener = listen("gateway.tls.listen", settings.listen, inherited).await?;
            addresses.tls = Some(local_address(&listener)?);
            let tls = ServerTls::load(options(settings, directory)).map_err(|error| {
                Error::new(codes::CERTIFICATE_UNUSABLE, format!("gateway.tls: {error}")).because(error)
            })?;
            Some(TlsDoor { listener, tls: Arc::new(tls), reload: settings.reload.into() })
        }
    };
    let mut tcp = Vec::new();
    for (origin, address) in table.tcp_listens() {
        let listener = listen(&format!("{origin}.listen"), address, inherited).await?;
        addresses.tcp.push((origin.to_owned(), local_address(&listener)?));
        tcp.push(listener);
    }
    Ok((Doors { plain, tls, tcp }, addresses))
}

/// The socket for `setting`: one that is there already, or a new one.
pub(crate) async fn listen(
    setting: &str,
    address: SocketAddr,
    inherited: &mut Inherited,
) -> Result<TcpListener, Error> {
    let Some(listener) = inherited.take(setting, address) else { return bind(setting, address).await };
    let taken = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
    taken.map_err(|error| {
        let what = format!("the socket that was inherited for `{setting}` cannot be used");
        Error::new(codes::CANNOT_LISTEN, what).because(error)
    })
}

/// A second descriptor of each of the gateway's sockets, under the name of its setting.
pub(crate) fn copies(doors: &Doors) -> std::io::Result<Copies> {
    let mut copies = vec![copy("gateway.listen", &doors.plain)?];
    if let Some(tls) = &doors.tls {
        copies.push(copy("gateway.tls.listen", &tls.listener)?);
    }
    for (index, listener) in doors.tcp.iter().enumerate() {
        copies.push(copy(&format!("tcp[{index}].listen"), listener)?);
    }
    Ok(copies)
}

/// A second descriptor of one socket.
pub(crate) fn copy(name: &str, listener: &TcpListener) -> std::io::Result<(String, std::net::TcpListener)> {
    let descriptor = std::os::fd::AsFd::as_fd(listener).try_clone_to_owned()?;
    Ok((name.to_owned(), std::net::TcpListener::from(descriptor)))
}

fn options(settings: &Tls, directory: &Path) -> ServerTlsOptions {
    let files = |pair: &trellis_core::model::Certificate| CertifiedFiles {
        certificate: directory.join(&pair.cert),
        key: directory.join(&pair.key),
    };
    ServerTlsOptions {
        certificates: settings.certificates.iter().map(files).collect(),
        client_ca: settings.client_ca.as_ref().map(|file| directory.join(file)),
        http2: settings.http2,
        min_version: match settings.min_version {
            TlsVersion::V1_2 => MinVersion::Tls12,
            TlsVersion::V1_3 => MinVersion::Tls13,
        },
    }
}
