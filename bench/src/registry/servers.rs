//! Who is measured, and how each is started: on loopback, with its data in a folder of its own, and otherwise as it
//! comes. What had to be changed is a limit or a time-out that the measurement would run into.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::act::{Act, Key, Service};
use super::caller::Caller;
use super::doors::{Door, Nacos, Trellis};
use crate::child::{Child, free_addresses};
use crate::cores;

/// Who can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// `trellis up` with an application that has no modules: the control plane alone.
    Ours,
    /// etcd, one member.
    Etcd,
    /// r-nacos, one node.
    Rnacos,
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `trellis`.
    pub trellis: PathBuf,
    /// `etcd`.
    pub etcd: PathBuf,
    /// `rnacos`.
    pub rnacos: PathBuf,
}

impl Programs {
    /// Those that belong to the program `this`, which was built into a folder of cargo's.
    pub fn around(this: &Path) -> Result<Self> {
        let folder = this.parent().context("a program without a folder")?;
        // Tests are in `deps`.
        let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
        let target = folder.parent().context("a folder without a parent")?;
        Ok(Self {
            trellis: folder.join("trellis"),
            etcd: "/usr/bin/etcd".into(),
            rnacos: target.join("bench-peers/bin/rnacos"),
        })
    }

    fn of(&self, peer: Peer) -> Result<&Path> {
        let (program, how) = match peer {
            Peer::Ours => (&self.trellis, "cargo build --release -p trellis"),
            Peer::Etcd => (&self.etcd, "apt-get install etcd-server"),
            Peer::Rnacos => (&self.rnacos, "cargo install rnacos --locked --root target/bench-peers"),
        };
        ensure!(program.is_file(), "{} is missing: {how}; or leave it out with --only", program.display());
        Ok(program)
    }
}

impl Peer {
    /// All, in the order of their turns.
    pub const ALL: [Self; 3] = [Self::Ours, Self::Etcd, Self::Rnacos];

    /// How it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Etcd => "etcd",
            Self::Rnacos => "r-nacos",
        }
    }

    /// How it is asked over HTTP/1.1, if it can be.
    pub(super) fn door(self) -> Option<&'static dyn Door> {
        match self {
            Self::Ours => Some(&Trellis),
            Self::Rnacos => Some(&Nacos),
            Self::Etcd => None,
        }
    }
}

/// A registry that answers. Dropping it kills it.
pub(super) struct Server {
    pub(super) peer: Peer,
    pub(super) address: SocketAddr,
    pub(super) child: Child,
}

impl Server {
    /// Starts one on the data in `folder`, which is made if it is not there, and waits until it takes writes.
    pub(super) async fn start(programs: &Programs, peer: Peer, folder: &Path, room: &Room) -> Result<Self> {
        let mut server = Self::spawn(programs, peer, folder, room)?;
        let (address, probe) = (server.address, Act::Write(Key(0), 0));
        let instance = Act::Register(Service(0).copy(0));
        let takes_writes = async || match Caller::connect(peer, address).await {
            Ok(_) if peer == Peer::Rnacos && !leads(address).await => false,
            Ok(mut caller) => caller.call(probe).await.is_ok() && caller.call(instance).await.is_ok(),
            Err(_) => false,
        };
        server.child.ready(takes_writes).await?;
        Ok(server)
    }

    /// Starts one without waiting for anything.
    pub(super) fn spawn(programs: &Programs, peer: Peer, folder: &Path, room: &Room) -> Result<Self> {
        let program = programs.of(peer)?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let data = folder.join("data").display().to_string();
        let [address, second, third] = free_addresses()?;
        let start = |program: &Path, args: Vec<String>| {
            let args = [vec![program.display().to_string()], args].concat();
            if room.cores.is_empty() {
                return Child::start(peer.name(), Path::new("/usr/bin/env"), args, folder);
            }
            // Its threads are as many as it finds cores.
            let cores = ["--cpu-list".to_owned(), cores::list(&room.cores)];
            Child::start(peer.name(), Path::new("taskset"), [&cores[..], &args].concat(), folder)
        };
        let child = match peer {
            Peer::Ours => {
                let manifest = folder.join("trellis.toml");
                std::fs::write(&manifest, room.manifest(second))
                    .with_context(|| format!("cannot write {}", manifest.display()))?;
                let manifest = manifest.display().to_string();
                let admin = address.to_string();
                let args = [
                    "up",
                    "--json",
                    "-f",
                    &manifest,
                    "--data-dir",
                    &data,
                    "--any-port",
                    "--admin-listen",
                    &admin,
                ];
                start(program, args.map(str::to_owned).into())?
            }
            Peer::Etcd => {
                let (clients, members) = (format!("http://{address}"), format!("http://{second}"));
                let args = vec![
                    format!("--data-dir={data}"),
                    format!("--listen-client-urls={clients}"),
                    format!("--advertise-client-urls={clients}"),
                    format!("--listen-peer-urls={members}"),
                    format!("--initial-advertise-peer-urls={members}"),
                    format!("--initial-cluster=default={members}"),
                    "--quota-backend-bytes=8589934592".into(),
                    "--log-level=warn".into(),
                ];
                start(program, args)?
            }
            Peer::Rnacos => {
                let mut args = vec![
                    format!("RNACOS_HTTP_PORT={}", address.port()),
                    format!("RNACOS_GRPC_PORT={}", second.port()),
                    format!("RNACOS_HTTP_CONSOLE_PORT={}", third.port()),
                    "RNACOS_SDK_HOST=127.0.0.1".into(),
                    format!("RNACOS_DATA_DIR={data}"),
                    format!("RNACOS_CONFIG_DB_DIR={data}"),
                    // As long as everyone's leases here.
                    "RNACOS_NAMING_HEALTH_TIMEOUT_SECOND=3600".into(),
                    "RNACOS_NAMING_INSTANCE_TIMEOUT_SECOND=3700".into(),
                    "RUST_LOG=warn".into(),
                ];
                args.push(program.display().to_string());
                start(Path::new("/usr/bin/env"), args)?
            }
        };
        Ok(Self { peer, address, child })
    }
}

/// Whether r-nacos has elected itself. A write that comes earlier is acknowledged, and is its last: what applies them
/// panics.
async fn leads(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /nacos/v1/raft/metrics HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.take(64 << 10).read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    ask.await.is_ok_and(|answer| answer.contains("\"state\":\"Leader\""))
}

/// An application without modules has to lead somewhere. Nobody asks for it.
pub(super) const ROUTE: &str = "\n[[route]]\npath = \"/\"\nrespond = { body = \"nothing is here\" }\n";

/// What a server has to have room for, and where it runs.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) instances: usize,
    pub(super) waiters: usize,
    /// None: all.
    pub(super) cores: Vec<usize>,
}

impl Room {
    fn manifest(&self, gateway: SocketAddr) -> String {
        format!(
            "[app]\nname = \"bench\"\n\n[gateway]\nlisten = \"{gateway}\"\n\n\
             [registry]\nmax_instances = {}\nmax_waiters = {}\n{ROUTE}",
            self.instances, self.waiters
        )
    }
}
