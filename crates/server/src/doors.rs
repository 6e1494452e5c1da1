//! The sockets of the gateway, and the files that its TLS needs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use trellis_core::model::{AppModel, Tls, TlsVersion};
use trellis_core::{Error, codes};
use trellis_net::tls::{CertifiedFiles, MinVersion, ServerTls, ServerTlsOptions};
use trellis_net::{bind, local_address};
use trellis_proxy::{Doors, RouteTable, TlsDoor};

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

/// Binds every socket and reads every file that `[gateway]` and `[[tcp]]` name. Relative paths start from `directory`.
pub(crate) async fn open(
    model: &AppModel,
    table: &RouteTable,
    directory: &Path,
) -> Result<(Doors, Addresses), Error> {
    let plain = bind("gateway.listen", model.gateway.listen).await?;
    let mut addresses = Addresses { plain: local_address(&plain)?, tls: None, tcp: Vec::new() };
    let tls = match &model.gateway.tls {
        None => None,
        Some(settings) => {
            let listener = bind("gateway.tls.listen", settings.listen).await?;
            addresses.tls = Some(local_address(&listener)?);
            let tls = ServerTls::load(options(settings, directory)).map_err(|error| {
                Error::new(codes::CERTIFICATE_UNUSABLE, format!("gateway.tls: {error}")).because(error)
            })?;
            Some(TlsDoor { listener, tls: Arc::new(tls), reload: settings.reload.into() })
        }
    };
    let mut tcp = Vec::new();
    for (origin, address) in table.tcp_listens() {
        let listener = bind(&format!("{origin}.listen"), address).await?;
        addresses.tcp.push((origin.to_owned(), local_address(&listener)?));
        tcp.push(listener);
    }
    Ok((Doors { plain, tls, tcp }, addresses))
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
