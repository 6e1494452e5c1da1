//! Finding programs and ports on this machine.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

/// The program of this name, in one of `places` or on PATH. The error says what to install.
pub(crate) fn find(name: &str, places: &[PathBuf], package: &str) -> anyhow::Result<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    places
        .iter()
        .cloned()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|program| is_executable(program))
        .ok_or_else(|| anyhow!("this test needs the program `{name}`; install it: apt-get install {package}"))
}

/// A program on PATH that a test runs. The error names the Debian package that has it.
pub fn program(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    find(name, &[], package)
}

/// The program `trellis` that these tests are about. Cargo puts the programs into the folder above that of the tests.
pub fn trellis() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("the test program is not in a folder of cargo's")?;
    let program = folder.join("trellis");
    anyhow::ensure!(
        program.is_file(),
        "{} is missing; build what this test runs: cargo build -p trellis -p shop",
        program.display()
    );
    Ok(program)
}

/// A variable of the test's own environment.
#[expect(clippy::disallowed_methods, reason = "this runs in tests, which are an outermost layer")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// A port that was free a moment ago. Whoever uses it must be ready to try again with another.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// User and group number of an account, if there is one of this name.
pub(crate) fn account(name: &str) -> Option<(u32, u32)> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [account, _, user, group, ..] if *account == name => {
                Some((user.parse().ok()?, group.parse().ok()?))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_its_package() {
        let error = find("no-such-program", &[], "no-such-package").unwrap_err().to_string();
        assert!(
            error.contains("`no-such-program`") && error.contains("apt-get install no-such-package"),
            "{error}"
        );
        assert!(find("sh", &[], "dash").is_ok());
    }

    #[test]
    fn accounts_are_read() {
        assert_eq!(account("root"), Some((0, 0)));
        assert_eq!(account("no-such-account"), None);
    }
}
