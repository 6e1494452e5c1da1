//! Prometheus, which finds the shop through the doors for Eureka and for DNS.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use http::Method;
use serde::Deserialize;
use trellis_testkit::{Http, Platform, PlatformOptions, Program, free_port, program, trellis, wait_until};

const PATIENCE: Duration = Duration::from_mins(1);

/// The part of `/api/v1/targets` that tells what was found.
#[derive(Deserialize)]
struct Targets {
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    active_targets: Vec<Target>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    discovered_labels: std::collections::BTreeMap<String, String>,
}

impl Targets {
    fn addresses(&self) -> BTreeSet<String> {
        let address = |target: &Target| target.discovered_labels.get("__address__").cloned();
        self.data.active_targets.iter().filter_map(address).collect()
    }
}

fn prometheus() -> Result<PathBuf> {
    program("prometheus", "prometheus")
}

/// Where the native API says that the instances of these services are.
async fn known(http: &Http, admin: &str, services: &[&str]) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Service {
        instances: Vec<Instance>,
    }
    #[derive(Deserialize)]
    struct Instance {
        host: String,
        port: u16,
    }
    let mut all = BTreeSet::new();
    for name in services {
        let answer = http.call(Method::GET, format!("{admin}/v1/services/{name}")).send().await?;
        let service: Service = answer.expect(200)?.json()?;
        all.extend(service.instances.iter().map(|instance| format!("{}:{}", instance.host, instance.port)));
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_finds_every_service_by_eureka() -> Result<()> {
    let shop = Platform::start(PlatformOptions::shop()).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("prometheus.yml");
    let server = shop.eureka()?;
    std::fs::write(
        &file,
        format!(
            "scrape_configs:\n- job_name: shop\n  eureka_sd_configs:\n  - server: {server}/eureka\n    refresh_interval: 1s\n"
        ),
    )?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let args = [
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", folder.path().join("data").display()),
        format!("--web.listen-address={address}"),
        "--log.level=error".to_owned(),
    ];
    let args: Vec<_> = args.iter().map(OsStr::new).collect();
    let _prometheus = Program::start(&prometheus()?, &args)?;
    let http = Http::new();
    let services = ["inventory", "notifications", "orders", "payments", "users"];
    let wanted = known(&http, shop.admin(), &services).await?;
    anyhow::ensure!(wanted.len() == services.len(), "{wanted:?}");
    let found = || async {
        let asked = http.call(Method::GET, format!("http://{address}/api/v1/targets")).send().await;
        asked.ok().and_then(|answer| answer.json::<Targets>().ok()).is_some_and(|t| t.addresses() == wanted)
    };
    wait_until("Prometheus knows what the registry knows", PATIENCE, found).await
}

/// Prometheus asks the servers of /etc/resolv.conf, on port 53. So all of it runs in a network of its own, where that is
/// ours, and tells from within what it has found.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_finds_a_service_by_dns() -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("discovery/prometheus-dns.sh");
    let folder = tempfile::tempdir()?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shop/trellis.toml");
    let (unshare, trellis, prometheus) = (program("unshare", "util-linux")?, trellis()?, prometheus()?);
    let args: [&OsStr; 12] = [
        "--map-root-user".as_ref(),
        "--mount".as_ref(),
        "--net".as_ref(),
        // All of it ends with its first process.
        "--pid".as_ref(),
        "--fork".as_ref(),
        "--kill-child".as_ref(),
        "--mount-proc".as_ref(),
        script.as_ref(),
        trellis.as_ref(),
        manifest.as_ref(),
        prometheus.as_ref(),
        folder.path().as_ref(),
    ];
    let mut inside = Program::start(&unshare, &args)?;
    let ready: serde_json::Value =
        serde_json::from_str(&inside.line().await?).context("no readiness line")?;
    let modules = ready["modules"].as_array().context("no modules")?;
    let of = |name: &str| modules.iter().find(|module| module["id"] == name)?["port"].as_u64();
    let wanted = of("users-1").context("no instance of the users")?;
    let found: Targets = serde_json::from_str(&inside.line().await?).context("no targets")?;
    // The target of an SRV record is a name, and its port is the instance's.
    let addresses = found.addresses();
    anyhow::ensure!(
        addresses.len() == 1
            && addresses.iter().all(|address| {
                address.ends_with(&format!(".consul.:{wanted}"))
                    || address.ends_with(&format!(".consul:{wanted}"))
            }),
        "users-1 is at port {wanted}, and Prometheus has found {addresses:?}"
    );
    Ok(())
}
