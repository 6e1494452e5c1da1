//! The rules between crates (ARCHITECTURE.md), kept by a test that reads `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::command;

/// Which crates of this workspace each crate may import. An edge that is missing here is a decision to be made, not
/// an oversight to be mended: say why in ARCHITECTURE.md.
const ALLOWED: &[(&str, &[&str])] = &[
    // Foundation: knows no capability. `storage` and `net` do not know each other.
    ("trellis-core", &[]),
    ("trellis-expr", &["trellis-core"]),
    ("trellis-resilience", &["trellis-core"]),
    ("trellis-runtime", &["trellis-core"]),
    ("trellis-storage", &["trellis-core", "trellis-runtime"]),
    ("trellis-net", &["trellis-core", "trellis-resilience", "trellis-runtime"]),
    ("trellis-supervisor", &["trellis-core", "trellis-resilience", "trellis-runtime"]),
    // Capabilities: never import each other.
    ("trellis-registry", &["trellis-core", "trellis-net", "trellis-runtime", "trellis-storage"]),
    (
        "trellis-config",
        &["trellis-core", "trellis-expr", "trellis-net", "trellis-runtime", "trellis-storage"],
    ),
    (
        "trellis-proxy",
        &["trellis-core", "trellis-expr", "trellis-net", "trellis-resilience", "trellis-runtime"],
    ),
    // Doors: translate for capabilities, even for more than one, and are known to nobody but the binary.
    ("trellis-dns", &["trellis-core", "trellis-net", "trellis-registry", "trellis-runtime"]),
    ("trellis-eureka", &["trellis-core", "trellis-net", "trellis-registry", "trellis-runtime"]),
    (
        "trellis-consul",
        &["trellis-config", "trellis-core", "trellis-net", "trellis-registry", "trellis-runtime"],
    ),
    // What a service imports: foundation only.
    (
        "trellis-sdk",
        &["trellis-core", "trellis-net", "trellis-resilience", "trellis-runtime", "trellis-storage"],
    ),
    // The binary joins everything but what services import.
    (
        "trellis",
        &[
            "trellis-config",
            "trellis-consul",
            "trellis-core",
            "trellis-dns",
            "trellis-eureka",
            "trellis-expr",
            "trellis-net",
            "trellis-proxy",
            "trellis-registry",
            "trellis-resilience",
            "trellis-runtime",
            "trellis-storage",
            "trellis-supervisor",
        ],
    ),
    ("shop", &["trellis-sdk"]),
    // Around the product: these see it from outside.
    ("trellis-testkit", &["trellis-core"]),
    // The PostgreSQL that nodes share in a measurement is the one that tests start.
    ("trellis-bench", &["trellis-testkit"]),
    ("trellis-interop", &[]),
    ("xtask", &[]),
];

/// What any crate may import for its tests. A capability that runs needs a store.
const FOR_TESTS: &[&str] = &["trellis-storage", "trellis-testkit"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    kind: Option<String>,
    /// Set for a crate of this workspace.
    path: Option<PathBuf>,
}

fn packages() -> Vec<Package> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut ask = command::cargo();
    ask.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root);
    let output = ask.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Metadata>(&output.stdout).unwrap().packages
}

/// Every edge between crates of the workspace that no rule allows.
fn forbidden(packages: &[Package], allowed: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let Some(may) = allowed.get(package.name.as_str()) else {
            found.push(format!("{} is not in the table: say what it may import", package.name));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| d.path.is_some()) {
            let name = dependency.name.as_str();
            let for_tests = dependency.kind.as_deref() == Some("dev") && FOR_TESTS.contains(&name);
            if !may.contains(name) && !for_tests {
                found.push(format!("{} may not import {name}", package.name));
            }
        }
    }
    found
}

fn table() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    ALLOWED.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect()
}

#[test]
fn crates_import_only_what_the_rules_allow() {
    let found = forbidden(&packages(), &table());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_forbidden_edge_is_found() {
    let edge = |kind: Option<&str>| Dependency {
        name: "trellis-registry".into(),
        kind: kind.map(Into::into),
        path: Some("crates/registry".into()),
    };
    let proxy = |dependencies| Package {
        name: "trellis-proxy".into(),
        manifest_path: "crates/proxy/Cargo.toml".into(),
        dependencies,
    };
    assert_eq!(
        forbidden(&[proxy(vec![edge(None)])], &table()),
        ["trellis-proxy may not import trellis-registry"]
    );
    assert_eq!(forbidden(&[proxy(vec![edge(Some("dev"))])], &table()).len(), 1);
    assert_eq!(forbidden(&[proxy(vec![])], &table()), [""; 0]);
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    for package in packages() {
        let text = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{} has lints of its own",
            package.manifest_path.display()
        );
    }
}
