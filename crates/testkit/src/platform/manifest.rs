//! A changed copy of a manifest, in another folder.

use std::path::Path;

use anyhow::Context;
use toml_edit::{DocumentMut, Item, Table, Value};

/// The text with these settings, and with what is relative to the manifest's folder made absolute.
pub(super) fn rewrite(text: &str, folder: &Path, settings: &[(String, Value)]) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse().context("the manifest is not TOML")?;
    for (key, value) in settings {
        set(document.as_table_mut(), key, value.clone()).with_context(|| format!("`{key}` cannot be set"))?;
    }
    if let Some(defaults) = document.get_mut("defaults").and_then(Item::as_table_like_mut) {
        anchor(defaults.get_mut("command"), folder);
    }
    for (_, module) in
        document.get_mut("module").and_then(Item::as_table_like_mut).into_iter().flat_map(|t| t.iter_mut())
    {
        let Some(module) = module.as_table_like_mut() else { continue };
        anchor(module.get_mut("command"), folder);
        // Without one it is the manifest's folder.
        let directory = module.get("directory").and_then(Item::as_str).unwrap_or(".");
        let directory = folder.join(directory).display().to_string();
        module.insert("directory", toml_edit::value(directory));
    }
    Ok(document.to_string())
}

fn set(root: &mut Table, key: &str, value: Value) -> anyhow::Result<()> {
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().context("no key")?;
    let mut table: &mut dyn toml_edit::TableLike = root;
    for part in parts {
        let mut missing = Table::new();
        missing.set_implicit(true);
        let item = table.entry(part).or_insert(Item::Table(missing));
        table = item.as_table_like_mut().with_context(|| format!("`{part}` is not a table"))?;
    }
    table.insert(last, Item::Value(value));
    Ok(())
}

/// A bare program name is looked for by the platform; one with a slash is relative to the manifest.
fn anchor(command: Option<&mut Item>, folder: &Path) {
    let Some(program) = command.and_then(Item::as_array_mut).and_then(|words| words.get_mut(0)) else {
        return;
    };
    if let Some(name) = program.as_str().filter(|name| name.contains('/')) {
        *program = folder.join(name).display().to_string().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str, settings: &[(&str, Value)]) -> DocumentMut {
        let settings: Vec<_> =
            settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        rewrite(text, Path::new("/app"), &settings).unwrap().parse().unwrap()
    }

    #[test]
    fn settings_are_added_and_replaced() {
        let made = rewritten(
            "[defaults]\ncommand = [\"shop\"]\ndatabase = \"sqlite\"\n[[route]]\npath = \"/\"\n[module.users]\n",
            &[("defaults.database", "postgres://h/d".into()), ("module.orders.replicas", 2.into())],
        );
        assert_eq!(made["defaults"]["database"].as_str(), Some("postgres://h/d"));
        assert_eq!(made["defaults"]["command"][0].as_str(), Some("shop"));
        assert_eq!(made["module"]["orders"]["replicas"].as_integer(), Some(2));
        assert_eq!(made["module"]["users"]["directory"].as_str(), Some("/app/."));
        assert_eq!(made["route"][0]["path"].as_str(), Some("/"));
    }

    #[test]
    fn paths_still_mean_the_same() {
        let made = rewritten(
            "defaults = { command = [\"./run.sh\", \"a/b\"] }\n[module.py]\ncommand = [\"/usr/bin/python3\", \"x.py\"]\ndirectory = \"py\"",
            &[],
        );
        assert_eq!(made["defaults"]["command"][0].as_str(), Some("/app/./run.sh"));
        assert_eq!(made["defaults"]["command"][1].as_str(), Some("a/b"), "only the program is a path");
        assert_eq!(made["module"]["py"]["command"][0].as_str(), Some("/usr/bin/python3"));
        assert_eq!(made["module"]["py"]["directory"].as_str(), Some("/app/py"));
    }

    #[test]
    fn a_setting_below_a_value_is_refused() {
        let settings = [("app.name.first".to_owned(), "x".into())];
        assert!(rewrite("[app]\nname = \"shop\"", Path::new("/app"), &settings).is_err());
    }
}
