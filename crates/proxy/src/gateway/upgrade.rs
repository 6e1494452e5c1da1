//! A WebSocket: a request that turns into a tunnel, over HTTP/1.1 (RFC 6455) and HTTP/2 (RFC 8441).

use http::header::UPGRADE;
use http::request::Parts;
use http::{HeaderValue, Method, Response, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tracing::debug;
use trellis_core::{Error, codes};
use trellis_net::client::Tunnel;
use trellis_net::cluster::Flight;
use trellis_net::{BoxError, Cluster};

use super::body::Content;
use super::record::Record;
use super::refusal::Refusal;
use crate::edge::websocket::{Handshake, Mistake, Sent, Upstream};

/// A client's wish to leave HTTP.
pub(super) struct Switch {
    handshake: Handshake,
    client: OnUpgrade,
}

/// A wish that was sent on.
pub(super) struct Asked {
    sent: Sent,
    client: OnUpgrade,
}

/// Both ends of a tunnel, before the client has been told.
#[derive(Debug)]
pub(super) struct Switched {
    client: OnUpgrade,
    service: Tunnel,
    flight: Flight,
}

/// In each direction of a tunnel.
const BUFFER: usize = 16 << 10;

/// Whether what follows a request on its connection is not looked at, since it may be in another protocol. An offer of
/// h2c is passed over.
pub(super) fn hides_the_rest(head: &Parts) -> bool {
    head.version < Version::HTTP_2 && head.headers.get_all(UPGRADE).iter().any(|protocol| !is_h2c(protocol))
}

pub(super) fn is_h2c(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"h2c")
}

/// Whether it is a protocol that is carried.
pub(super) fn is_websocket(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket")
}

impl Switch {
    /// The wish of a request, if it has one. From here on, a CONNECT of HTTP/2 is the GET that it stands for: routes and
    /// expressions need not know the difference.
    pub(super) fn read(head: &mut Parts) -> Result<Option<Self>, Refusal> {
        if head.method != Method::CONNECT && !head.headers.contains_key(UPGRADE) {
            return Ok(None);
        }
        let Some(handshake) = Handshake::read(head)? else { return Ok(None) };
        let Some(client) = head.extensions.remove::<OnUpgrade>() else { return Ok(None) };
        head.method = Method::GET;
        Ok(Some(Self { handshake, client }))
    }

    /// Asks a service for the same. It is the last thing done to a head.
    pub(super) fn ask(self, head: &mut Parts) -> Asked {
        let mut random = [0; 16];
        fastrand::fill(&mut random);
        Asked { sent: self.handshake.send_on(head, Upstream::Http1(random)), client: self.client }
    }
}

impl Asked {
    /// The service agreed.
    pub(super) fn agreed(
        self,
        head: Response<()>,
        service: Tunnel,
        flight: Flight,
        cluster: &Cluster,
    ) -> Result<Response<Content>, Error> {
        let (mut head, ()) = head.into_parts();
        match self.sent.returned(&mut head) {
            Ok(true) => {
                let switched = Box::new(Switched { client: self.client, service, flight });
                Ok(Response::from_parts(head, Content::Switched(switched)))
            }
            Ok(false) => Err(invalid(cluster, Mistake::Protocol)),
            Err(mistake) => Err(invalid(cluster, mistake)),
        }
    }

    /// The service gave another answer.
    pub(super) fn declined<B>(&self, answer: Response<B>, cluster: &Cluster) -> Result<Response<B>, Error> {
        let (mut head, body) = answer.into_parts();
        self.sent.returned(&mut head).map_err(|mistake| invalid(cluster, mistake))?;
        Ok(Response::from_parts(head, body))
    }
}

fn invalid(cluster: &Cluster, mistake: Mistake) -> Error {
    let detail = format!("{} {mistake}", cluster.name());
    Error::new(codes::UPSTREAM_INVALID, detail).with("service", cluster.name().as_str())
}

impl Switched {
    /// Copies bytes both ways once the client has been told, until one side ends or the gateway has waited long enough
    /// for it. Until then the request is under way.
    pub(super) fn carry(self: Box<Self>, mut record: Record) {
        let tunnels = record.tunnels();
        let cut = tunnels.cut.clone();
        tunnels.tasks.clone().spawn(async move {
            let Self { client, service, flight } = *self;
            let _counted = flight.until_dropped();
            tokio::select! {
                carried = carry(client, service) => match carried {
                    Ok((up, down)) => record.carried(up, down),
                    Err(error) => debug!(%error, "tunnel ended"),
                },
                () = cut.cancelled() => debug!("tunnel cut at the end of the drain"),
            }
            record.complete();
        });
    }
}

/// The bytes to the service, and to the client.
async fn carry(client: OnUpgrade, service: Tunnel) -> Result<(u64, u64), BoxError> {
    let mut client = TokioIo::new(client.await?);
    let Tunnel { mut stream, first } = service;
    client.write_all(&first).await?;
    client.flush().await?;
    let (up, down) = copy_bidirectional_with_sizes(&mut client, &mut stream, BUFFER, BUFFER).await?;
    Ok((up, down + first.len() as u64))
}
