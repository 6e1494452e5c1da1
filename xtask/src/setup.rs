//! `cargo xtask setup`: the real back ends that the tests run against.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::interop;
use crate::workspace::Workspace;

pub(crate) const HELP: &str = "\
The tests start their own PostgreSQL and Redis on free ports, and ask the DNS door with dig and kdig; only the programs
have to be there.
As root, or where sudo asks for no password, missing Debian packages are installed. Elsewhere the command to
type is shown. grpcio, Traefik and py-consul with its tests, which gRPC, discovery and the door for Consul are tried with,
come from PyPI into an environment below cargo's target folder. When nothing is missing this does nothing.";

/// A program that is started here, and the Debian package that has it.
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    /// Folders beside PATH; `*` stands for a version.
    pub(crate) folders: &'static [&'static str],
}

const NEEDS: [Need; 8] = [
    Need { program: "postgres", package: "postgresql", folders: &["/usr/lib/postgresql/*/bin"] },
    Need { program: "redis-server", package: "redis-server", folders: &[] },
    Need { program: "python3", package: "python3", folders: &[] },
    Need { program: "prometheus", package: "prometheus", folders: &[] },
    Need { program: "curl", package: "curl", folders: &[] },
    Need { program: "ip", package: "iproute2", folders: &[] },
    Need { program: "dig", package: "bind9-dnsutils", folders: &[] },
    Need { program: "kdig", package: "knot-dnsutils", folders: &[] },
];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    check_rust()?;
    provide(&NEEDS)?;
    interop::set_up(workspace)
}

/// Installs those programs that are missing.
pub(crate) fn provide<'a>(needs: impl IntoIterator<Item = &'a Need>) -> Result<()> {
    let (there, missing): (Vec<&Need>, Vec<&Need>) = needs.into_iter().partition(|need| need.is_there());
    if missing.is_empty() {
        let programs: Vec<&str> = there.iter().map(|need| need.program).collect();
        command::say(&format!("already there: {}", programs.join(", ")));
        return Ok(());
    }
    install(&missing)?;
    let still: Vec<_> = missing.iter().filter(|need| !need.is_there()).map(|need| need.program).collect();
    if !still.is_empty() {
        bail!("installed, but still not found: {}", still.join(", "));
    }
    Ok(())
}

fn check_rust() -> Result<()> {
    for component in ["fmt", "clippy"] {
        if !command::succeeds(command::cargo().args([component, "--version"])) {
            bail!("`cargo {component}` is missing; run: rustup component add rustfmt clippy");
        }
    }
    Ok(())
}

fn install(missing: &[&Need]) -> Result<()> {
    let programs = missing.iter().map(|need| need.program).collect::<Vec<_>>().join(", ");
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let by_hand = format!("apt-get update && apt-get install -y {}", packages.join(" "));
    command::say(&format!("missing: {programs}"));
    if find("apt-get", &[]).is_none() {
        bail!(
            "missing: {programs}; this machine has no apt-get: install them by its own means (on Debian: {by_hand})"
        );
    }
    let Some(root) = as_root() else {
        bail!("missing: {programs}; this needs root, so please run: sudo sh -c '{by_hand}'");
    };
    let apt = |args: &[&str]| {
        let mut line = root.to_vec();
        line.extend([
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-q",
            "-o",
            "DPkg::Lock::Timeout=300",
        ]);
        line.extend(args);
        command::run(Command::new(line[0]).args(&line[1..]))
    };
    apt(&["update"]).context("the package lists cannot be fetched")?;
    let mut words = vec!["install", "-y", "--no-install-recommends"];
    words.extend(packages);
    apt(&words)
}

/// The words to put before a command that needs root; none if there is no way without a password.
fn as_root() -> Option<&'static [&'static str]> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout.trim_ascii() == b"0" {
        return Some(&[]);
    }
    command::succeeds(Command::new("sudo").args(["-n", "true"])).then_some(&["sudo", "-n"])
}

impl Need {
    fn is_there(&self) -> bool {
        find(self.program, self.folders).is_some()
    }
}

/// Looks on PATH, where Debian keeps programs for root, and in `folders`.
#[expect(clippy::disallowed_methods, reason = "xtask is the outermost layer")]
fn find(program: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    on_path
        .chain(folders.iter().flat_map(|folder| expand(folder)))
        .map(|f| f.join(program))
        .find(|f| f.is_file())
}

/// Every folder that a pattern with one `*` stands for.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once("/*/") else {
        return vec![pattern.into()];
    };
    let Ok(entries) = Path::new(before).read_dir() else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path().join(after)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_program_on_path_and_none_that_is_not_there() {
        assert!(find("sh", &[]).is_some());
        assert!(find("no-such-program-anywhere", &["/usr/lib/*/bin"]).is_none());
    }

    #[test]
    fn a_star_stands_for_every_folder() {
        let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let found = expand(&format!("{}/*/src", parent.display()));
        assert!(found.contains(&parent.join("xtask/src")), "{found:?}");
    }
}
