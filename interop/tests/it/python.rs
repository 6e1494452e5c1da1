//! grpcio's server and client.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use trellis_testkit::{Gateway, Program};

use crate::pairs::{PATIENCE, Seen, Server};

const DESCRIPTORS: &str = concat!(env!("OUT_DIR"), "/interop.bin");
/// What is installed, and whose sources are there.
const LISTS: [(&str, &str); 2] = [
    ("requirements.txt", include_str!("../../python/requirements.txt")),
    ("sources.txt", include_str!("../../python/sources.txt")),
];

/// The interpreter that has the packages.
pub(crate) fn interpreter() -> Result<PathBuf> {
    program("python")
}

/// A program of one of the packages.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    Ok(environment()?.join("bin").join(name))
}

/// The source distribution of a package, such as `py_consul-1.8.0`.
pub(crate) fn source(name: &str) -> Result<PathBuf> {
    let file = environment()?.join("sources").join(format!("{name}.tar.gz"));
    ensure!(file.is_file(), "{} is missing; interop/python/sources.txt names others", file.display());
    Ok(file)
}

/// Where `cargo xtask setup` puts the packages, below cargo's target folder.
pub(crate) fn environment() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let target = test.ancestors().nth(3).context("the test program is not in a folder of cargo's")?;
    let environment = target.join("interop-python");
    for (name, wanted) in LISTS {
        let there = std::fs::read_to_string(environment.join(name)).unwrap_or_default();
        ensure!(
            there == wanted,
            "this test needs the Python packages of interop/python/{name} in {}; run: cargo xtask setup",
            environment.display()
        );
    }
    Ok(environment)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}

/// Starts the server.
pub(crate) async fn server() -> Result<Server> {
    let script = script("server.py");
    let args = [OsStr::new("-B"), script.as_os_str(), OsStr::new(DESCRIPTORS)];
    let mut program = Program::start(&interpreter()?, &args)?;
    let port: u16 = program.line().await?.parse()?;
    let seen = Arc::new(Seen::default());
    let tell = seen.clone();
    let task = tokio::spawn(async move {
        while let Some(line) = program.next_line().await {
            match line.as_str() {
                "begun" => tell.begin(),
                "cancelled" => tell.cancel(),
                other => panic!("the server says {other:?}"),
            }
        }
    });
    Ok(Server { address: format!("127.0.0.1:{port}"), seen, task })
}

/// Runs one case. The client is told when the server has begun with a call.
pub(crate) async fn client(
    gateway: &Gateway,
    case: &str,
    begun: impl Future<Output = Result<()>>,
) -> Result<()> {
    let mut client = Command::new(interpreter()?);
    client.arg("-B").arg(script("client.py")).args([
        DESCRIPTORS,
        gateway.url().trim_start_matches("http://"),
        case,
    ]);
    client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut client = client.spawn()?;
    let input = client.stdin.take();
    let begun = async {
        begun.await?;
        drop(input);
        anyhow::Ok(())
    };
    let end = async { Ok(client.wait_with_output().await?) };
    let both = async { tokio::try_join!(begun, end) };
    let ((), output) =
        tokio::time::timeout(2 * PATIENCE, both).await.context("the client does not end")??;
    ensure!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
