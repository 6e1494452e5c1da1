//! The proxies: how each is configured, started, and known to be ready.

mod program;
mod template;

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

pub use program::Programs;
pub(super) use program::find;

use super::certificate::Certificate;
use crate::child::{Child, free_addresses, listens};
use crate::client::Client;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// `trellis gateway`
    Ours,
    /// nginx, from Debian
    Nginx,
    /// HAProxy, from Debian
    Haproxy,
    /// Envoy, from its Python package
    Envoy,
    /// A relay of bytes that reads nothing
    Floor,
}

impl Proxy {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 5] = [Self::Ours, Self::Nginx, Self::Haproxy, Self::Envoy, Self::Floor];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Floor => "floor",
        }
    }

    /// Its configuration file and the template of it; the floor has none.
    fn template(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Ours => Some(("trellis.toml", include_str!("trellis.toml"))),
            Self::Nginx => Some(("nginx.conf", include_str!("nginx.conf"))),
            Self::Haproxy => Some(("haproxy.cfg", include_str!("haproxy.cfg"))),
            Self::Envoy => Some(("envoy.yaml", include_str!("envoy.yaml"))),
            Self::Floor => None,
        }
    }
}

/// What the proxies speak, to both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// HTTP/1.1, kept alive.
    H1,
    /// HTTP/2 without TLS.
    Grpc,
    /// TLS 1.3 to the client, HTTP/1.1 inside and to the upstream.
    Tls,
}

impl Wire {
    /// Its mark in the templates.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::Grpc => "grpc",
            Self::Tls => "tls",
        }
    }
}

/// What all proxies of a run have in common.
pub(super) struct Setting<'a> {
    pub(super) programs: &'a Programs,
    pub(super) wire: Wire,
    pub(super) workers: usize,
    /// Connections of the load; a proxy keeps at least as many to the upstream.
    pub(super) connections: usize,
    /// Connections that a proxy is set up for, both sides counted. Some set memory aside for them.
    pub(super) max_connections: usize,
    pub(super) upstream: SocketAddr,
    pub(super) certificate: &'a Certificate,
    /// Where configuration files and logs go.
    pub(super) folder: PathBuf,
}

/// A proxy that takes requests. Dropping it kills it.
pub(super) struct Running {
    pub(super) version: Option<String>,
    pub(super) listen: SocketAddr,
    /// Ours only.
    pub(super) admin: SocketAddr,
    /// Its configuration file without the added routes; empty for the floor.
    pub(super) text: String,
    pub(super) child: Child,
}

impl Running {
    /// Starts `proxy` and waits until it takes requests. Ours gets a route for each
    /// prefix of `routes`, beside the one that takes all.
    pub(super) async fn start(
        setting: &Setting<'_>,
        proxy: Proxy,
        name: &str,
        routes: &[String],
    ) -> Result<Self> {
        let program = setting.programs.of(proxy)?;
        let addresses = free_addresses()?;
        let [listen, admin, _] = addresses;
        let mut text = String::new();
        let mut file = PathBuf::new();
        if let Some((file_name, template)) = proxy.template() {
            text = template::fill(template, setting.wire.name(), &values(setting, addresses))
                .with_context(|| format!("the template of {file_name}"))?;
            file = setting.folder.join(format!("{name}-{file_name}"));
            std::fs::write(&file, with_routes(&text, routes))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let args = arguments(setting, proxy, &file, [listen, admin]);
        let mut child = Child::start(name, &program, args, &setting.folder)?;
        if proxy == Proxy::Ours {
            child.ready(async || is_live(admin).await).await?;
        } else {
            child.ready(async || listens(listen).await).await?;
        }
        Ok(Self { version: program::version(&program, proxy), listen, admin, text, child })
    }
}

/// Ours, with a route for each of these prefixes.
pub(super) fn with_routes(text: &str, prefixes: &[String]) -> String {
    let mut text = text.to_owned();
    for prefix in prefixes {
        write!(text, "\n[[route]]\npath = \"{prefix}/**\"\ncluster = \"be\"\n").ok();
    }
    text
}

/// Whether our gateway with this admin API takes requests.
pub(super) async fn is_live(admin: SocketAddr) -> bool {
    let mut client = Client::new(&format!("http://{admin}"), Duration::from_secs(1));
    let answer = client.send(http::Method::GET, "/livez", &[], bytes::Bytes::new()).await;
    answer.is_ok_and(|answer| answer.status == http::StatusCode::OK)
}

fn values(setting: &Setting<'_>, [listen, admin, spare]: [SocketAddr; 3]) -> Vec<(&'static str, String)> {
    let path = |file: &Path| file.display().to_string();
    vec![
        ("listen", listen.to_string()),
        ("listen_port", listen.port().to_string()),
        ("admin_port", admin.port().to_string()),
        ("spare", spare.to_string()),
        ("upstream", setting.upstream.to_string()),
        ("upstream_port", setting.upstream.port().to_string()),
        ("workers", setting.workers.to_string()),
        ("kept", (2 * setting.connections).to_string()),
        ("max_connections", setting.max_connections.to_string()),
        ("cert", path(&setting.certificate.cert)),
        ("key", path(&setting.certificate.key)),
        ("both", path(&setting.certificate.both)),
        ("folder", path(&setting.folder)),
    ]
}

fn arguments(
    setting: &Setting<'_>,
    proxy: Proxy,
    file: &Path,
    [listen, admin]: [SocketAddr; 2],
) -> Vec<String> {
    let (file, folder) = (file.display().to_string(), setting.folder.display().to_string());
    let (listen, admin, workers) = (listen.to_string(), admin.to_string(), setting.workers.to_string());
    let upstream = setting.upstream.to_string();
    let words: &[&str] = match proxy {
        Proxy::Ours => &["gateway", "-c", &file, "--admin-listen", &admin],
        Proxy::Nginx => &["-e", "stderr", "-p", &folder, "-c", &file],
        Proxy::Haproxy => &["-db", "-f", &file],
        Proxy::Envoy => {
            &["-c", &file, "--use-dynamic-base-id", "--concurrency", &workers, "--log-level", "warn"]
        }
        Proxy::Floor => &["relay", "--listen", &listen, "--upstream", &upstream, "--workers", &workers],
    };
    words.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRES: [Wire; 3] = [Wire::H1, Wire::Grpc, Wire::Tls];

    fn filled(proxy: Proxy, wire: Wire) -> String {
        let folder = tempfile::tempdir().unwrap();
        let setting = Setting {
            programs: &Programs::around(Path::new("/target/release/trellis-bench")).unwrap(),
            wire,
            workers: 3,
            connections: 64,
            max_connections: 1024,
            upstream: SocketAddr::from(([127, 0, 0, 1], 9000)),
            certificate: &Certificate::make(folder.path()).unwrap(),
            folder: folder.path().into(),
        };
        let addresses = [9009, 9010, 9011].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (_, template) = proxy.template().unwrap();
        template::fill(template, wire.name(), &values(&setting, addresses)).unwrap()
    }

    #[test]
    fn every_template_can_be_filled_for_every_wire() {
        for proxy in [Proxy::Ours, Proxy::Nginx, Proxy::Haproxy, Proxy::Envoy] {
            for wire in WIRES {
                let text = filled(proxy, wire);
                let name = proxy.name();
                assert!(!text.contains("{{") && !text.contains("\n@"), "{name}: {text}");
                assert!(text.contains("9009") && text.contains("9000"), "{name} listens and asks: {text}");
                assert_eq!(
                    text.contains("key.pem") || text.contains("cert-and-key.pem"),
                    wire == Wire::Tls,
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn everyone_runs_as_many_workers_as_they_are_told() {
        assert!(filled(Proxy::Ours, Wire::H1).contains("workers = 3\n"));
        assert!(filled(Proxy::Nginx, Wire::H1).contains("worker_processes 3;"));
        assert!(filled(Proxy::Haproxy, Wire::H1).contains("nbthread 3\n"));
    }

    #[test]
    fn ours_is_toml_with_as_many_routes_as_wanted() {
        for wire in WIRES {
            let text = with_routes(&filled(Proxy::Ours, wire), &["/a".into(), "/b".into()]);
            let manifest: toml::Table = text.parse().unwrap();
            assert_eq!(manifest["route"].as_array().unwrap().len(), 3, "{text}");
            assert_eq!(manifest["gateway"].get("tls").is_some(), wire == Wire::Tls, "{text}");
        }
    }
}
