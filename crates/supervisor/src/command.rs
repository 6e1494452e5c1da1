//! Finding the program of a command.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use trellis_core::{Error, codes};

/// The file to run for `program`. A bare name is looked for in `beside` (the directory that holds `trellis`), then in
/// the directories of `path_var` (the value of PATH); a name with a `/` is relative to `relative_to`.
pub fn resolve_command(
    program: &OsStr,
    beside: &Path,
    path_var: Option<&OsStr>,
    relative_to: &Path,
) -> Result<PathBuf, Error> {
    if program.as_encoded_bytes().contains(&b'/') {
        let file = relative_to.join(program);
        return check(&file)
            .map(|()| file.clone())
            .map_err(|problem| cannot_run(program, &problem.of(&file)));
    }
    let path = path_var.unwrap_or_default();
    let places: Vec<PathBuf> = std::iter::once(beside.to_path_buf())
        .chain(std::env::split_paths(path).filter(|place| !place.as_os_str().is_empty()))
        .collect();
    let mut near_miss = None;
    for place in &places {
        let file = place.join(program);
        match check(&file) {
            Ok(()) => return Ok(file),
            Err(Problem::Missing) => {}
            Err(problem) => near_miss = near_miss.or(Some(problem.of(&file))),
        }
    }
    Err(cannot_run(program, &near_miss.unwrap_or_else(|| not_found(&places))))
}

/// Whether `file` can be run as it is.
pub(crate) fn check_program(file: &Path) -> Result<(), Error> {
    check(file).map_err(|problem| cannot_run(file.as_os_str(), &problem.of(file)))
}

#[derive(Debug, Clone, Copy)]
enum Problem {
    Missing,
    NotAFile,
    NotExecutable,
}

fn check(file: &Path) -> Result<(), Problem> {
    match std::fs::metadata(file) {
        Err(_) => Err(Problem::Missing),
        Ok(found) if !found.is_file() => Err(Problem::NotAFile),
        Ok(_) => access(file, Access::EXEC_OK).map_err(|_| Problem::NotExecutable),
    }
}

impl Problem {
    fn of(self, file: &Path) -> String {
        let file = file.display();
        match self {
            Self::Missing => format!("there is no file {file}"),
            Self::NotAFile => format!("{file} is not a file"),
            Self::NotExecutable => format!("{file} is not executable; try `chmod +x {file}`"),
        }
    }
}

fn not_found(places: &[PathBuf]) -> String {
    let names: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    format!("it was not found in {}; install it there, or give its path", names.join(", "))
}

fn cannot_run(program: &OsStr, why: &str) -> Error {
    Error::new(codes::COMMAND_NOT_FOUND, format!("cannot run {:?}: {why}", program.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(directory: &Path, name: &str, mode: u32) -> PathBuf {
        let file = directory.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_bare_name_is_looked_for_beside_then_on_the_path() {
        let root = tempfile::tempdir().unwrap();
        let (beside, one, two) =
            (root.path().join("beside"), root.path().join("one"), root.path().join("two"));
        let path = std::env::join_paths([&one, &two]).unwrap();
        let find = |name: &str| resolve_command(OsStr::new(name), &beside, Some(&path), root.path());

        let in_two = program(&two, "shop", 0o755);
        assert_eq!(find("shop").unwrap(), in_two);
        program(&one, "shop", 0o644);
        assert_eq!(find("shop").unwrap(), in_two, "what is not executable is passed over");
        let in_one = program(&one, "shop", 0o755);
        assert_eq!(find("shop").unwrap(), in_one);
        let in_beside = program(&beside, "shop", 0o755);
        assert_eq!(find("shop").unwrap(), in_beside);
    }

    #[test]
    fn a_name_with_a_slash_is_relative_to_the_manifest() {
        let root = tempfile::tempdir().unwrap();
        let file = program(root.path(), "bin/shop", 0o755);
        let find = |name: &OsStr| resolve_command(name, Path::new("/nowhere"), None, root.path());
        assert_eq!(find(OsStr::new("bin/shop")).unwrap(), file);
        assert_eq!(find(OsStr::new("./bin/shop")).unwrap(), root.path().join("./bin/shop"));
        assert_eq!(find(file.as_os_str()).unwrap(), file);
    }

    #[test]
    fn the_error_names_the_places_and_the_fix() {
        let root = tempfile::tempdir().unwrap();
        let beside = root.path().join("beside");
        let path = std::env::join_paths([root.path().join("one"), root.path().join("two")]).unwrap();
        let fail =
            |name: &str| resolve_command(OsStr::new(name), &beside, Some(&path), root.path()).unwrap_err();

        let error = fail("shop");
        assert_eq!(error.code(), codes::COMMAND_NOT_FOUND);
        for place in ["beside", "one", "two"] {
            assert!(error.detail().contains(root.path().join(place).to_str().unwrap()), "{error}");
        }
        assert!(fail("./shop").detail().contains("there is no file"));
        program(root.path(), "one/shop", 0o644);
        assert!(fail("shop").detail().contains("chmod +x"));
        assert!(fail("./one").detail().contains("is not a file"));
    }
}
