//! The folder that holds all state: made, locked, and tied to the phase whose data it holds.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trellis_core::{Error, Phase, codes};

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// `about.json`: what the data is.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    app: String,
    phase: Phase,
}

impl DataDir {
    /// Makes the folder if it is missing, and takes it for this process.
    pub(crate) fn open(path: &Path, app: &str, phase: Phase) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(|error| unusable(path, &error))?;
        if path.to_str().is_none_or(|text| text.contains('?')) {
            // The path becomes part of a database URL.
            return Err(Error::new(
                codes::DATA_DIR_UNUSABLE,
                format!(
                    "the data directory {} cannot be used: its path has a `?` or is not UTF-8",
                    path.display()
                ),
            ));
        }
        let modules = path.join("modules");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&modules)
            .map_err(|error| unusable(&path, &error))?;
        let lock = lock(&path)?;
        let dir = Self { path, _lock: lock };
        dir.remove("run.json");
        dir.settle_phase(app, phase)?;
        Ok(dir)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of one module, made if it is missing.
    pub(crate) fn module(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.path.join("modules").join(name);
        std::fs::create_dir_all(&folder).map_err(|error| unusable(&folder, &error))?;
        Ok(folder)
    }

    /// Says in `run.json` that the platform runs, and where. Others never see half of it.
    pub(crate) fn announce(&self, what: &impl Serialize) -> Result<(), Error> {
        self.write("run.json", what)
    }

    /// Takes `run.json` back.
    pub(crate) fn retract(&self) {
        self.remove("run.json");
    }

    /// Data made in one phase is not found in the other: refuses to start beside it as if there were none.
    fn settle_phase(&self, app: &str, phase: Phase) -> Result<(), Error> {
        let file = self.path.join("about.json");
        let about = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice::<About>(&bytes).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unusable(&file, &error)),
        };
        if let Some(before) = about.filter(|about| !same_data(about.phase, phase))
            && self.has_module_data()?
        {
            return Err(mismatch(&self.path, before.phase, phase));
        }
        self.write("about.json", &About { app: app.to_owned(), phase })
    }

    fn has_module_data(&self) -> Result<bool, Error> {
        let modules = self.path.join("modules");
        let look = || -> io::Result<bool> {
            for folder in std::fs::read_dir(&modules)? {
                let folder = folder?.path();
                if folder.is_dir() && std::fs::read_dir(folder)?.next().is_some() {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        look().map_err(|error| unusable(&modules, &error))
    }

    fn write(&self, name: &str, what: &impl Serialize) -> Result<(), Error> {
        let (file, fresh) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let write = || -> io::Result<()> {
            let mut out = File::create(&fresh)?;
            serde_json::to_writer(&mut out, what)?;
            out.write_all(b"\n")?;
            out.sync_all()?;
            std::fs::rename(&fresh, &file)
        };
        write().map_err(|error| unusable(&file, &error))
    }

    fn remove(&self, name: &str) {
        // What is left is replaced by the next start.
        let _ = std::fs::remove_file(self.path.join(name));
    }
}

/// Whether two phases keep the same tables in the same files: a proxy beside each module changes nothing about its data.
fn same_data(one: Phase, other: Phase) -> bool {
    let apart = |phase| matches!(phase, Phase::Microservices | Phase::ServiceMesh);
    one == other || apart(one) && apart(other)
}

/// Locks the folder. The lock ends with the process, however that ends.
fn lock(path: &Path) -> Result<File, Error> {
    let file = path.join("lock");
    let mut lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&file)
        .map_err(|error| unusable(&file, &error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(path, &mut lock)),
        Err(TryLockError::Error(error)) => return Err(unusable(&file, &error)),
    }
    // Writing is also the proof that the folder takes more than an empty file.
    let write = |lock: &mut File| -> io::Result<()> {
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        lock.sync_all()
    };
    write(&mut lock).map_err(|error| unusable(&file, &error))?;
    Ok(lock)
}

fn in_use(path: &Path, lock: &mut File) -> Error {
    let mut pid = String::new();
    let _ = lock.rewind().and_then(|()| lock.take(20).read_to_string(&mut pid));
    let holder = match pid.trim() {
        "" => "another process".to_owned(),
        pid => format!("process {pid}"),
    };
    Error::new(codes::DATA_DIR_IN_USE, format!("the data directory {} is in use by {holder}", path.display()))
        .with("help", vec!["stop that one (Ctrl-C, or `kill PID`), or choose another folder with --data-dir"])
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::new(
        codes::DATA_DIR_UNUSABLE,
        format!("the data directory cannot be used: {}: {error}", path.display()),
    )
    .with("help", vec!["make it a folder that you may write to, or choose another with --data-dir"])
}

fn mismatch(path: &Path, before: Phase, now: Phase) -> Error {
    Error::new(
        codes::PHASE_MISMATCH,
        format!("the data in {} was made in the phase `{before}`; the phase `{now}` would not find it", path.display()),
    )
    .with(
        "help",
        vec![
            format!("go on with that data: `trellis up --phase {before}`"),
            format!("or start the phase `{now}` with a folder of its own: `trellis up --phase {now} --data-dir OTHER`"),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, phase: Phase) -> Result<DataDir, Error> {
        DataDir::open(path, "shop", phase)
    }

    #[test]
    fn only_one_has_it_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = open(&path, Phase::Monolith).unwrap();
        let refused = open(&path, Phase::Monolith).unwrap_err();
        assert_eq!(refused.code(), codes::DATA_DIR_IN_USE);
        assert!(refused.detail().contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        open(&path, Phase::Monolith).unwrap();
    }

    #[test]
    fn data_of_another_phase_is_not_passed_over() {
        let parent = tempfile::tempdir().unwrap();
        drop(open(parent.path(), Phase::Monolith).unwrap());
        let dir = open(parent.path(), Phase::Microservices).unwrap();
        std::fs::write(dir.module("users").unwrap().join("users.db"), "x").unwrap();
        drop(dir);
        let refused = open(parent.path(), Phase::Monolith).unwrap_err();
        assert_eq!(refused.code(), codes::PHASE_MISMATCH);
        drop(open(parent.path(), Phase::Microservices).unwrap());
        drop(open(parent.path(), Phase::ServiceMesh).unwrap());
        assert_eq!(open(parent.path(), Phase::Monolith).unwrap_err().code(), codes::PHASE_MISMATCH);
        open(parent.path(), Phase::Microservices).unwrap();
    }

    #[test]
    fn what_is_no_folder_is_refused_with_the_way_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = open(&file.path().join("data"), Phase::Monolith).unwrap_err();
        assert_eq!(refused.code(), codes::DATA_DIR_UNUSABLE);
        assert!(refused.extensions()["help"].to_string().contains("--data-dir"));
        let strange = file.path().parent().unwrap().join("what?");
        assert_eq!(open(&strange, Phase::Monolith).unwrap_err().code(), codes::DATA_DIR_UNUSABLE);
    }

    #[test]
    fn a_stale_announcement_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), Phase::Monolith).unwrap().announce(&1).unwrap();
        assert!(dir.path().join("run.json").exists());
        let again = open(dir.path(), Phase::Monolith).unwrap();
        assert!(!dir.path().join("run.json").exists());
        again.announce(&2).unwrap();
        again.retract();
        assert!(!dir.path().join("run.json").exists());
    }
}
