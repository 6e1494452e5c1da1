//! etcd, by its own gRPC API. An instance is a key below its service, held by a lease of its own, as etcd's naming
//! libraries do it: to register is two calls. Reads are serializable, which is the cheaper of etcd's two kinds: answered
//! from the member's own copy, as the others answer.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};

use super::super::act::{Act, COPIES, Instance, Key, LEASE_SECONDS, PORT, Service};
use proto::kv_client::KvClient;
use proto::lease_client::LeaseClient;
use proto::watch_request::RequestUnion;
use proto::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse, PutRequest, RangeRequest,
    WatchCreateRequest, WatchRequest, WatchResponse,
};

#[expect(unreachable_pub, reason = "made from etcd.proto")]
mod proto {
    tonic::include_proto!("etcdserverpb");
}

/// One client: a connection of its own, one call after the other.
pub(in super::super) struct Etcd {
    kv: KvClient<Channel>,
    lease: LeaseClient<Channel>,
    /// Heartbeats are messages of one stream, which is opened with the first.
    beats: Option<(mpsc::Sender<LeaseKeepAliveRequest>, Streaming<LeaseKeepAliveResponse>)>,
}

impl Etcd {
    pub(in super::super) async fn connect(address: SocketAddr) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        let channel = endpoint.connect().await.context("cannot connect to etcd")?;
        let (kv, lease) = (KvClient::new(channel.clone()), LeaseClient::new(channel));
        Ok(Self { kv, lease, beats: None })
    }

    pub(in super::super) async fn call(&mut self, act: Act) -> Result<()> {
        match act {
            Act::Discover(service) => {
                let (key, range_end) = all_of(service);
                let request = RangeRequest { key, range_end, serializable: true };
                let found = self.kv.range(request).await?.into_inner().kvs.len() as u64;
                ensure!(found == COPIES, "{found} instances instead of {COPIES}");
            }
            Act::Register(instance) => {
                let id = lease_of(instance);
                let request = LeaseGrantRequest { ttl: LEASE_SECONDS.into(), id };
                let granted = self.lease.lease_grant(request).await;
                // A second registration holds the lease of the first.
                if let Err(status) = granted
                    && !status.message().contains("already exists")
                {
                    return Err(status.into());
                }
                self.put(key_of(instance), value_of(instance), id).await?;
            }
            Act::Renew(instance) => self.beat(lease_of(instance)).await?,
            Act::Read(key) => {
                let request = RangeRequest { key: config(key), range_end: Vec::new(), serializable: true };
                let found = self.kv.range(request).await?.into_inner().kvs;
                ensure!(found.iter().any(|kv| kv.value.starts_with(b"{\"version\"")), "{key:?} is not there");
            }
            Act::Write(key, version) => self.put(config(key), Key::value(version).into_bytes(), 0).await?,
        }
        Ok(())
    }

    async fn put(&mut self, key: Vec<u8>, value: Vec<u8>, lease: i64) -> Result<()> {
        self.kv.put(PutRequest { key, value, lease }).await?;
        Ok(())
    }

    async fn beat(&mut self, id: i64) -> Result<()> {
        let Some((requests, answers)) = &mut self.beats else {
            let (requests, receiver) = mpsc::channel(1);
            requests.send(LeaseKeepAliveRequest { id }).await?;
            let answers = self.lease.lease_keep_alive(stream(receiver)).await?.into_inner();
            let open = self.beats.insert((requests, answers));
            return heard(&mut open.1, id).await;
        };
        requests.send(LeaseKeepAliveRequest { id }).await?;
        heard(answers, id).await
    }
}

/// The method that answers with a stream of what happens.
pub(in super::super) const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// The message that asks it for what happens to a service from now on.
pub(in super::super) fn watch(service: Service) -> Vec<u8> {
    let (key, range_end) = all_of(service);
    let create = WatchCreateRequest { key, range_end };
    WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }.encode_to_vec()
}

/// Whether a message of that stream says that it has begun, or what has changed.
pub(in super::super) fn judge_watch(message: &[u8]) -> Result<()> {
    let answer = WatchResponse::decode(message).context("no answer to a watch")?;
    ensure!(!answer.canceled, "etcd cancelled the watch");
    ensure!(answer.created || answer.events.iter().any(|event| event.kv.is_some()), "nothing has happened");
    Ok(())
}

async fn heard(answers: &mut Streaming<LeaseKeepAliveResponse>, id: i64) -> Result<()> {
    let answer = answers.message().await?.context("etcd ended the stream of heartbeats")?;
    ensure!(answer.id == id && answer.ttl > 0, "lease {id} is not known there");
    Ok(())
}

fn stream<T: Send + 'static>(
    receiver: mpsc::Receiver<T>,
) -> Request<impl futures_util::Stream<Item = T> + Send + 'static> {
    Request::new(futures_util::stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    }))
}

fn lease_of(instance: Instance) -> i64 {
    // 0 would have etcd choose.
    1 + instance.number.cast_signed()
}

/// The first key of a service, and the first behind its last.
fn all_of(service: Service) -> (Vec<u8>, Vec<u8>) {
    (format!("/services/{}/", service.name()).into(), format!("/services/{}0", service.name()).into())
}

fn key_of(instance: Instance) -> Vec<u8> {
    format!("/services/{}/{}", instance.service.name(), instance.id()).into()
}

fn value_of(instance: Instance) -> Vec<u8> {
    format!(
        "{{\"host\":\"{}\",\"port\":{PORT},\"weight\":{},\"metadata\":{{\"version\":\"1.0\"}}}}",
        instance.address(),
        instance.weight
    )
    .into()
}

fn config(key: Key) -> Vec<u8> {
    format!("/config/{}", key.name()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_service_lie_between_its_bounds() {
        let (first, end) = all_of(Service(7));
        let key = key_of(Service(7).copy(3));
        assert!(first < key && key < end);
        let other = key_of(Service(8).copy(3));
        assert!(other > end || other < first);
    }
}
