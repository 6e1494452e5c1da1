//! A registry with the DNS door open.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use trellis_core::error::Result as CoreResult;
use trellis_dns::{Handle, Options, bind};
use trellis_registry::{Handle as Registry, Registration, Service};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::Store;
use trellis_storage::members::{self, Members};

/// Longest that anything here may take before the test fails.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Door {
    pub(crate) registry: Registry,
    pub(crate) dns: Handle,
    shutdown: Shutdown,
    tasks: Vec<JoinHandle<CoreResult<()>>>,
    _dir: TempDir,
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::open_with(Options::default()).await
    }

    pub(crate) async fn open_with(options: Options) -> Self {
        let dir = TempDir::new().unwrap();
        let database = trellis_storage::Options::sqlite(&dir.path().join("platform.db"));
        let store = Store::open(database).await.unwrap();
        let clock = WallClock::fixed(1_700_000_000_000);
        let (_members, member) = Members::join(&store, members::Options::new("test", "")).await.unwrap();
        let (service, registry) =
            Service::new(trellis_registry::Options::default(), store, clock.clone(), member).await.unwrap();
        let options = Options { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..options };
        let (door, dns) = bind(options, registry.clone(), clock).await.unwrap();
        let shutdown = Shutdown::new();
        let tasks =
            vec![tokio::spawn(service.run(shutdown.clone())), tokio::spawn(door.run(shutdown.clone()))];
        Self { registry, dns, shutdown, tasks, _dir: dir }
    }

    /// Registers `count` instances of a service at 10.0.0.1 and on.
    pub(crate) fn put(&self, service: &str, count: u8) {
        for n in 1..=count {
            let id = format!("{service}-{n}").parse().unwrap();
            let name: trellis_registry::Name = service.parse().unwrap();
            let registration = Registration {
                tags: ["v1"].into_iter().collect(),
                lease: trellis_registry::Lease::Managed,
                ..Registration::new(id, name, format!("10.0.0.{n}"), 8000 + u16::from(n))
            };
            self.registry.register(registration).unwrap();
        }
    }

    pub(crate) async fn udp(&self, packet: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.send_to(packet, self.dns.address()).await.unwrap();
        let mut answer = vec![0; 65_535];
        let len = soon(socket.recv(&mut answer)).await.unwrap();
        answer.truncate(len);
        answer
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.dns.address()).await.unwrap()
    }

    pub(crate) async fn close(self) {
        self.shutdown.trigger();
        for task in self.tasks {
            soon(task).await.unwrap().unwrap();
        }
    }
}

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(WITHIN, work).await.expect("nothing came in time")
}

pub(crate) fn question(id: u16, name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

/// A message as it goes over a connection.
pub(crate) fn framed(message: &Message) -> Vec<u8> {
    let bytes = message.to_vec().unwrap();
    let mut framed = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(bytes);
    framed
}

pub(crate) async fn read(stream: &mut TcpStream) -> Message {
    let len = soon(stream.read_u16()).await.unwrap();
    let mut bytes = vec![0; usize::from(len)];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    Message::from_vec(&bytes).unwrap()
}

pub(crate) async fn send(stream: &mut TcpStream, bytes: &[u8]) {
    soon(stream.write_all(bytes)).await.unwrap();
}

/// Whether the other side has closed.
pub(crate) async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(soon(stream.read(&mut [0])).await, Ok(0) | Err(_))
}
