//! The house keeps its rules: who may depend on whom is written down here, and nowhere else.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Each crate and what it may use of this workspace. The foundation knows no capability, `storage` and `net` do not
/// know each other, capabilities never meet, `sdk` uses the foundation only, `shop` uses `sdk` only.
const ALLOWED: &[(&str, &[&str])] = &[
    // Foundation
    ("trellis-core", &[]),
    ("trellis-expr", &["trellis-core"]),
    ("trellis-runtime", &["trellis-core"]),
    ("trellis-resilience", &["trellis-core"]),
    ("trellis-storage", &["trellis-core", "trellis-runtime"]),
    ("trellis-net", &["trellis-core", "trellis-resilience", "trellis-runtime"]),
    ("trellis-supervisor", &["trellis-core", "trellis-resilience", "trellis-runtime"]),
    // Capabilities
    ("trellis-registry", FOUNDATION),
    ("trellis-proxy", FOUNDATION),
    // What services import
    ("trellis-sdk", FOUNDATION),
    ("shop", &["trellis-sdk"]),
    // Where everything meets
    ("trellis", EVERYTHING_TO_RUN),
    // Not the product
    ("trellis-testkit", &["trellis-core"]),
    ("trellis-bench", &["trellis-core", "trellis-testkit"]),
    ("xtask", &["trellis-core", "trellis-testkit"]),
];

const FOUNDATION: &[&str] = &[
    "trellis-core",
    "trellis-expr",
    "trellis-net",
    "trellis-resilience",
    "trellis-runtime",
    "trellis-storage",
    "trellis-supervisor",
];

const EVERYTHING_TO_RUN: &[&str] = &[
    "trellis-core",
    "trellis-expr",
    "trellis-net",
    "trellis-proxy",
    "trellis-registry",
    "trellis-resilience",
    "trellis-runtime",
    "trellis-storage",
    "trellis-supervisor",
];

/// Every crate of the workspace, with the crates of the workspace that it uses outside its tests.
fn crates() -> BTreeMap<String, (String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let used = dependencies
                // A path marks a crate of this workspace; `kind` is null but for tests and build scripts.
                .filter(|dependency| dependency["path"].is_string() && dependency["kind"] != "dev")
                .map(|dependency| text(&dependency["name"]))
                .collect();
            (text(&package["name"]), (text(&package["manifest_path"]), used))
        })
        .collect()
}

#[test]
fn crates_use_only_what_they_may() {
    let crates = crates();
    let mut breaches = Vec::new();
    for (name, (_, used)) in &crates {
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
            breaches.push(format!("{name} is not in the list: say what it may use"));
            continue;
        };
        for dependency in used.iter().filter(|dependency| !allowed.contains(&dependency.as_str())) {
            breaches.push(format!("{name} may not use {dependency}"));
        }
    }
    let gone = ALLOWED.iter().filter(|(name, _)| !crates.contains_key(*name));
    breaches.extend(gone.map(|(name, _)| format!("{name} is in the list and not in the workspace")));
    assert!(
        breaches.is_empty(),
        "the rules are in the design, under \"The house\":\n{}",
        breaches.join("\n")
    );
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for (name, (manifest, _)) in crates() {
        let text = std::fs::read_to_string(Path::new(&manifest)).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        let lints =
            manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(lints, Some(true), "{name}: write `[lints]` and `workspace = true` into its Cargo.toml");
    }
}
