//! py-consul's own tests, as its authors ship them, against the door for Consul.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use trellis_testkit::{Http, Platform, PlatformOptions};

use crate::python::{environment, interpreter, source};

/// Name and version, as the source distribution has them.
const SUITE: &str = "py_consul-1.8.0";
/// Takes the place of the suite's own `conftest.py`, which starts Consul in a container.
const CONFTEST: &str = include_str!("../../python/py_consul/conftest.py");
const EXCEPTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/py_consul/exceptions.txt");
/// An application without modules: the tests bring what they register. They leave an agent, too.
const MANIFEST: &str = r#"
[app]
name = "py-consul"

[registry]
commands = true

[[route]]
path = "/"
respond = { status = 204 }
"#;
/// The suite takes about a minute.
const PATIENCE: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn py_consuls_own_tests_pass_but_for_those_that_are_listed() -> Result<()> {
    let folder = tempfile::tempdir_in(environment()?)?;
    unpack(&source(SUITE)?, folder.path()).await?;
    let suite = folder.path().join(SUITE);
    std::fs::write(suite.join("conftest.py"), CONFTEST)?;
    let manifest = folder.path().join("trellis.toml");
    std::fs::write(&manifest, MANIFEST)?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut pytest = Command::new(interpreter()?);
    pytest.args([
        "-B",
        "-m",
        "pytest",
        "--override-ini=addopts=",
        "-p",
        "no:cacheprovider",
        "-rfEX",
        "--tb=short",
    ]);
    pytest.args(["--durations=5", "tests"]).current_dir(&suite).env_clear();
    pytest.env("TRELLIS_PLATFORMS", listener.local_addr()?.to_string()).env("TRELLIS_EXCEPTIONS", EXCEPTIONS);
    pytest.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ended = pytest.spawn()?.wait_with_output();
    let output = tokio::select! {
        ended = tokio::time::timeout(PATIENCE, ended) => ended.context("the suite does not end")??,
        failed = hand_out(listener, &manifest) => return failed,
    };
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{told}");
    ensure!(output.status.success(), "{}\n{told}\n{errors}", output.status);
    Ok(())
}

async fn unpack(source: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new(interpreter()?);
    let status = command.args(["-m", "tarfile", "-e"]).arg(source).arg(to).status().await?;
    ensure!(status.success(), "{} cannot be unpacked", source.display());
    Ok(())
}

/// Gives a platform to each who connects, for as long as the connection lasts. Ends only when one cannot be started.
async fn hand_out(listener: TcpListener, manifest: &Path) -> Result<()> {
    let manifest: Arc<Path> = manifest.into();
    let mut given = JoinSet::new();
    loop {
        tokio::select! {
            connection = listener.accept() => {
                given.spawn(lend(connection?.0, manifest.clone()));
            }
            Some(back) = given.join_next() => back??,
        }
    }
}

async fn lend(mut borrower: TcpStream, manifest: Arc<Path>) -> Result<()> {
    let platform = Platform::start(PlatformOptions::new(&*manifest).set("consul.allow_leave", true)).await?;
    let consul = platform.consul()?;
    let itself = Http::new().call(Method::GET, format!("{consul}/v1/agent/self")).send().await?;
    let version = itself.expect(200)?.json::<Value>()?["Config"]["Version"].clone();
    let port: u16 = consul.rsplit(':').next().unwrap_or_default().parse()?;
    let told = json!({"port": port, "version": version});
    borrower.write_all(format!("{told}\n").as_bytes()).await?;
    // A test that was ended in the middle is no reason to end the others.
    let _until_closed = borrower.read(&mut [0]).await;
    Ok(())
}
