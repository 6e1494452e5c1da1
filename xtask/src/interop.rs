//! The Python packages that the tests of `interop/` run, in an environment of their own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::workspace::Workspace;

/// Below cargo's target folder; the tests look there.
const ENVIRONMENT: &str = "interop-python";
/// Lists of what is to be there: what is installed, and whose sources are unpacked by a test. Inside the environment
/// the lists of what is there. The tests compare them, too.
const LISTS: [&str; 2] = ["requirements.txt", "sources.txt"];
/// Where source distributions are, inside the environment.
const SOURCES: &str = "sources";

/// Makes the environment, unless it is there with the versions that are asked for.
pub(crate) fn set_up(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join("interop/python");
    let [requirements, sources] = LISTS.map(|name| folder.join(name));
    let read = |list: &Path| std::fs::read_to_string(list).with_context(|| list.display().to_string());
    let wanted = [read(&requirements)?, read(&sources)?];
    let environment = workspace.target.join(ENVIRONMENT);
    if has(&environment, &wanted) {
        let names = wanted.iter().flat_map(|list| list.split_whitespace()).collect::<Vec<_>>();
        command::say(&format!("already there: {}", names.join(", ")));
        return Ok(());
    }
    if !command::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        bail!("Python's module venv is missing; on Debian: apt-get install -y python3-venv");
    }
    // What broke off, or has other versions, is begun again.
    command::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let pip = |what: &str| {
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args(["-m", "pip", what, "--quiet", "--disable-pip-version-check", "--no-deps"]);
        pip
    };
    let mut install = pip("install");
    install.args(["--only-binary", ":all:", "--requirement"]).arg(&requirements);
    command::run(&mut install).context("the Python packages of interop/ cannot be fetched")?;
    let mut download = pip("download");
    download.args(["--no-binary", ":all:", "--requirement"]).arg(&sources);
    download.arg("--dest").arg(environment.join(SOURCES));
    command::run(&mut download).context("the Python sources of interop/ cannot be fetched")?;
    for (name, text) in LISTS.iter().zip(wanted) {
        let there = environment.join(name);
        std::fs::write(&there, text).with_context(|| there.display().to_string())?;
    }
    Ok(())
}

/// The lists are written last, so an environment that has them is whole.
fn has(environment: &Path, wanted: &[String; 2]) -> bool {
    let is_there = |(name, text): (&&str, &String)| {
        std::fs::read_to_string(environment.join(name)).is_ok_and(|there| there == *text)
    };
    LISTS.iter().zip(wanted).all(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_are_installed_again() {
        let folder = std::env::temp_dir().join(format!("trellis-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let lists = |installed: &str, source: &str| [installed.to_owned(), source.to_owned()];
        assert!(!has(&folder, &lists("grpcio==1\n", "py-consul==1\n")));
        std::fs::write(folder.join("requirements.txt"), "grpcio==1\n").unwrap();
        assert!(!has(&folder, &lists("grpcio==1\n", "py-consul==1\n")), "half of it");
        std::fs::write(folder.join("sources.txt"), "py-consul==1\n").unwrap();
        assert!(has(&folder, &lists("grpcio==1\n", "py-consul==1\n")));
        assert!(!has(&folder, &lists("grpcio==2\n", "py-consul==1\n")));
        assert!(!has(&folder, &lists("grpcio==1\n", "py-consul==2\n")));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
