//! A folder with one program and no manifest: that program is the application.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use trellis_core::model::{AppModel, Module};
use trellis_core::{Error, ServiceName, codes};

use super::FILE_NAME;

/// The application that consists of the only program in `folder`: called like the folder, its one module like the
/// file, with all of the gateway leading to it.
pub fn only_program(folder: &Path) -> Result<AppModel, Error> {
    let programs = programs(folder).map_err(|error| {
        Error::new(codes::MANIFEST_UNREADABLE, format!("cannot look into {}: {error}", folder.display()))
    })?;
    let [program] = programs.as_slice() else {
        let found = match programs.len() {
            0 => "no program".to_owned(),
            n => format!("{n} programs"),
        };
        return Err(Error::new(
            codes::MANIFEST_UNREADABLE,
            format!("there is no {FILE_NAME} in {} and {found} to run instead", folder.display()),
        ));
    };
    let file = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let module =
        Module { command: Some(vec![format!("./{file}")]), routes: vec!["/**".into()], ..Module::default() };
    let mut model = AppModel::default();
    let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
    model.app.name = name_from(&folder_name).unwrap_or(model.app.name);
    model.module.insert(name_from(&stem).unwrap_or_else(|| model.app.name.clone()), module);
    Ok(model)
}

fn programs(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Follows links: a linked program is a program.
        let Ok(metadata) = std::fs::metadata(entry.path()) else {
            continue;
        };
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 && !hidden {
            programs.push(entry.path());
        }
    }
    Ok(programs)
}

/// The nearest valid name: `My Shop.v2` becomes `my-shop-v2`.
fn name_from(text: &str) -> Option<ServiceName> {
    let label: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .take(63)
        .collect();
    label.trim_matches('-').parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(folder: &Path, name: &str, mode: u32) {
        let path = folder.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn one_program_is_an_application() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("My Shop");
        fs::create_dir(&folder).unwrap();
        file(&folder, "web_server.py", 0o755);
        file(&folder, "notes.txt", 0o644);
        file(&folder, ".hidden", 0o755);
        let model = only_program(&folder).unwrap();
        assert_eq!(model.app.name.as_str(), "my-shop");
        let (name, module) = model.module.first_key_value().unwrap();
        assert_eq!(name.as_str(), "web-server");
        assert_eq!(module.command.as_deref().unwrap(), ["./web_server.py"]);
        assert_eq!(module.routes, ["/**"]);
    }

    #[test]
    fn none_or_two_are_an_error_that_counts_them() {
        let folder = tempfile::tempdir().unwrap();
        let none = only_program(folder.path()).unwrap_err();
        assert!(none.detail().contains("no program"), "{none}");
        file(folder.path(), "a", 0o755);
        file(folder.path(), "b", 0o755);
        let two = only_program(folder.path()).unwrap_err();
        assert!(two.detail().contains("2 programs"), "{two}");
    }
}
