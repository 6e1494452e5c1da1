//! WebSockets: a request that turns its connection into a tunnel (RFC 6455, section 4).

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tracing::debug;
use trellis_net::client::Tunnel;
use trellis_net::cluster::Flight;
use trellis_net::headers::strip_hop_by_hop;

use super::body::Content;

/// A client's wish to leave HTTP.
pub(super) struct Switch {
    protocol: HeaderValue,
    client: OnUpgrade,
}

/// In each direction of a tunnel.
const BUFFER: usize = 16 << 10;

impl Switch {
    /// The wish of `request`, if it has one that can be fulfilled.
    pub(super) fn wanted<B>(request: &mut Request<B>) -> Option<Self> {
        let protocol = request.headers().get(UPGRADE).filter(|protocol| is_websocket(protocol)).cloned()?;
        Some(Self { protocol, client: hyper::upgrade::on(request) })
    }

    /// Asks the upstream for the same.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }

    /// The upstream agreed: what the client gets told, before bytes go both ways until one side ends.
    pub(super) fn accept(self, mut head: Response<()>, tunnel: Tunnel, flight: Flight) -> Response<Content> {
        let upgrade = head.headers().get(UPGRADE).cloned().unwrap_or(self.protocol);
        strip_hop_by_hop(head.headers_mut());
        head.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers_mut().insert(UPGRADE, upgrade);
        *head.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let client = self.client;
        tokio::spawn(async move {
            let _counted = flight.until_dropped();
            if let Err(error) = carry(client, tunnel).await {
                debug!(%error, "tunnel ended");
            }
        });
        head.map(|()| Content::Own(Bytes::new()))
    }
}

/// Whether it is a protocol that is carried.
pub(super) fn is_websocket(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket")
}

async fn carry(client: OnUpgrade, tunnel: Tunnel) -> Result<(), trellis_net::BoxError> {
    let mut client = TokioIo::new(client.await?);
    let Tunnel { mut stream, first } = tunnel;
    client.write_all(&first).await?;
    client.flush().await?;
    copy_bidirectional_with_sizes(&mut client, &mut stream, BUFFER, BUFFER).await?;
    Ok(())
}
