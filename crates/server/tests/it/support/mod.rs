//! A real `trellis` in a folder of its own.

mod doors;
pub(crate) mod http;
mod platform;
mod proxy;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) use doors::{Door, Places, Write, is_done};
pub(crate) use platform::Platform;
pub(crate) use proxy::{Proxy, Web};

/// Longest wait for anything; only reached when something is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The program under test, which sees none of our environment's settings.
pub(crate) fn trellis() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trellis"));
    for name in [
        "PHASE",
        "DATA_DIR",
        "GATEWAY_LISTEN",
        "ADMIN_LISTEN",
        "CONSUL_LISTEN",
        "DNS_LISTEN",
        "EUREKA_LISTEN",
        "ANY_PORT",
        "ADMIN",
        "LOG",
    ] {
        command.env_remove(format!("TRELLIS_{name}"));
    }
    command
}

/// The same on a disk of its own, which has room for so many MiB and is mounted at `place`. Nobody else sees it but through
/// `/proc/PID/root`, and it goes with the program.
pub(crate) fn trellis_on_a_small_disk(place: &Path, mib: u32) -> Command {
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let mount = format!("mount -t tmpfs -o size={mib}m tmpfs \"$1\"");
    let enter = |then: &str| {
        let mut command = Command::new(unshare.get_program());
        command.args(unshare.get_args()).args(["--mount", "--", "sh", "-c"]);
        command.arg(format!("{mount} && {then}")).arg("sh").arg(place);
        command
    };
    let tried = enter("true").output().expect("unshare (package util-linux) can be run");
    assert!(
        tried.status.success(),
        "this test mounts a file system: run it as root, or where a user may have a namespace of mounts: {}",
        stderr(&tried)
    );
    let mut command = enter("shift && exec \"$@\"");
    command.arg(trellis().get_program());
    command
}

/// Runs a command line to its end.
pub(crate) fn run(folder: &Path, args: &[&str]) -> Output {
    trellis().current_dir(folder).args(args).output().expect("trellis can be run")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until `condition` gives something.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain: {what}");
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process is polled from a plain thread, under a deadline"
)]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// Whether a process of this id runs (one that has ended and was not waited for does not).
pub(crate) fn runs(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// A folder with the Python module and a manifest that is `manifest`.
pub(crate) fn folder(manifest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(module(), folder.path().join("web.py")).expect("a copy of the module");
    std::fs::write(folder.path().join("trellis.toml"), manifest).expect("a manifest");
    folder
}

/// The Python module.
pub(crate) fn module() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/modules/web.py")
}
