//! The Python packages that the tests of `interop/` run, in an environment of their own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::workspace::Workspace;

/// Below cargo's target folder; the tests look there.
const ENVIRONMENT: &str = "interop-python";
/// The list of what is to be there, and inside the environment the list of what is. The tests compare them, too.
const REQUIREMENTS: &str = "requirements.txt";

/// Makes the environment, unless it is there with the versions that are asked for.
pub(crate) fn set_up(workspace: &Workspace) -> Result<()> {
    let list = workspace.root.join("interop/python").join(REQUIREMENTS);
    let wanted = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let environment = workspace.target.join(ENVIRONMENT);
    if has(&environment, &wanted) {
        command::say(&format!("already there: {}", wanted.split_whitespace().collect::<Vec<_>>().join(", ")));
        return Ok(());
    }
    if !command::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        bail!("Python's module venv is missing; on Debian: apt-get install -y python3-venv");
    }
    // What broke off, or has other versions, is begun again.
    command::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--no-deps", "--only-binary", ":all:", "--requirement"]).arg(&list);
    command::run(&mut pip).context("the Python packages of interop/ cannot be fetched")?;
    let there = environment.join(REQUIREMENTS);
    std::fs::write(&there, wanted).with_context(|| there.display().to_string())
}

/// The list is written last, so an environment that has it is whole.
fn has(environment: &Path, wanted: &str) -> bool {
    std::fs::read_to_string(environment.join(REQUIREMENTS)).is_ok_and(|there| there == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_are_installed_again() {
        let folder = std::env::temp_dir().join(format!("trellis-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(!has(&folder, "grpcio==1\n"));
        std::fs::write(folder.join(REQUIREMENTS), "grpcio==1\n").unwrap();
        assert!(has(&folder, "grpcio==1\n") && !has(&folder, "grpcio==2\n"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
