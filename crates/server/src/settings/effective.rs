//! Every setting with its value and where that came from.

use serde::Serialize;
use serde_json::Value;
use trellis_core::model::AppModel;
use utoipa::ToSchema;

use super::{Origin, Overrides};
use crate::manifest::Manifest;
use crate::manifest::path::Path;
use crate::secrets;

/// One setting as it is in effect.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Setting {
    /// As in `trellis.toml`: `module.users.replicas`.
    pub key: String,
    /// Its value; secrets are masked.
    #[schema(value_type = Value)]
    pub value: Value,
    /// Where the value came from.
    #[schema(value_type = String, example = "trellis.toml:12")]
    pub source: Origin,
}

/// The settings of `manifest` in the order of their keys. A module has all of its own, whether it or `[defaults]` or
/// nobody gave them.
pub fn effective(manifest: &Manifest, overrides: &Overrides) -> Vec<Setting> {
    let mut settings = vec![Setting {
        key: "data_dir".into(),
        value: manifest.data_dir(overrides).display().to_string().into(),
        source: overrides.origin("data_dir").cloned().unwrap_or(Origin::Default),
    }];
    let mut leaves = Vec::new();
    collect(&resolved(&manifest.model), &Path::default(), &mut leaves);
    settings.extend(leaves.into_iter().map(|(path, value)| {
        let key = path.to_string();
        let source = overrides.origin(&key).cloned().unwrap_or_else(|| origin(manifest, &path));
        Setting { key, value, source }
    }));
    settings
}

/// The model as JSON, with what modules take from `[defaults]` written out.
fn resolved(model: &AppModel) -> Value {
    let mut model = model.clone();
    let defaults = model.defaults.clone();
    for module in model.module.values_mut() {
        module.command = module.command.take().or_else(|| defaults.command.clone());
        module.health.get_or_insert_with(|| defaults.health.clone());
        module.replicas.get_or_insert(defaults.replicas);
        module.database.get_or_insert_with(|| defaults.database.clone());
        module.socket.get_or_insert(defaults.socket);
        module.start_timeout.get_or_insert(defaults.start_timeout);
        module.grace.get_or_insert(defaults.grace);
        let own = std::mem::take(&mut module.env);
        module.env = defaults.env.clone();
        module.env.extend(own);
    }
    // A map of strings and numbers: this cannot fail.
    serde_json::to_value(model).unwrap_or_default()
}

fn collect(value: &Value, path: &Path, leaves: &mut Vec<(Path, Value)>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(key, value)| collect(value, &path.key(key), leaves));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(index, value)| collect(value, &path.index(index), leaves));
        }
        Value::Null => {}
        _ => leaves.push((path.clone(), masked(path, value))),
    }
}

fn masked(path: &Path, value: &Value) -> Value {
    let secret = path.parent().name() == "env" && secrets::is_secret_name(path.name());
    match value {
        Value::String(_) if secret => "***".into(),
        Value::String(text) => secrets::mask_urls(text).into(),
        Value::Array(items) => items.iter().map(|item| masked(path, item)).collect(),
        other => other.clone(),
    }
}

fn origin(manifest: &Manifest, path: &Path) -> Origin {
    if let Some(line) = manifest.line_of(path) {
        return line;
    }
    // `module.NAME.key` may come from `defaults.key`.
    let text = path.to_string();
    let inherited = text
        .strip_prefix("module.")
        .and_then(|rest| rest.split_once('.'))
        .map(|(_, key)| format!("defaults.{key}"));
    let line = inherited.and_then(|key| manifest.line_of(&Path::parse(&key)));
    let found_out = !manifest.is_written() && text.starts_with("module.");
    line.unwrap_or(if found_out { Origin::Folder } else { Origin::Default })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_found_out_from_the_folder_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("server");
        std::fs::write(&program, "").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let manifest = Manifest::load(None, folder.path(), &Overrides::default()).unwrap();
        let settings = effective(&manifest, &Overrides::default());
        let source = |key: &str| settings.iter().find(|s| s.key == key).map(|s| s.source.clone());
        assert_eq!(source("module.server.command"), Some(Origin::Folder));
        assert_eq!(source("gateway.listen"), Some(Origin::Default));
        assert_eq!(source("data_dir"), Some(Origin::Default));
    }
}
