//! Every mistake in a manifest is told, with its place and what was expected there.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use trellis_server::manifest::{Manifest, Report};
use trellis_server::settings::Overrides;

fn report(name: &str, text: &str) -> Option<Report> {
    Manifest::parse(name, text.to_owned(), PathBuf::from("/app"), &Overrides::default()).err()
}

#[test]
fn mistakes_are_told_for_people_and_for_programs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/manifests");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 5, "the manifests are in {}", folder.display());
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let report = report("trellis.toml", &text).unwrap_or_else(|| panic!("{name} has no mistakes"));
        let rendered = report.render(false);
        assert!(!rendered.contains("hunter2"), "{rendered}");
        insta::assert_snapshot!(format!("manifest_{name}"), rendered);
        insta::assert_json_snapshot!(format!("manifest_{name}_json"), report.findings());
    }
}

#[test]
fn a_manifest_without_mistakes_is_taken() {
    let text = r#"
        [app]
        name = "shop"
        [defaults]
        command = ["shop", "serve"]
        [module.users]
        [module.orders]
        needs = ["users"]
        replicas = 2
        [[route]]
        path = "/api/orders/**"
        service = "orders"
        rewrite = "/orders/**"
        [[route]]
        path = "/old/**"
        cluster = "legacy"
        [[cluster]]
        name = "legacy"
        endpoints = ["127.0.0.1:9999", "[::1]:9999", "legacy.internal:80"]
    "#;
    taken(text);
}

#[test]
fn a_manifest_that_uses_every_key_is_taken() {
    taken(include_str!("every_key.toml"));
}

fn taken(text: &str) {
    if let Some(report) = report("trellis.toml", text) {
        panic!("{}", report.render(false));
    }
}

/// Pieces that make most random documents TOML, so that what comes after the parser is reached too.
fn documents() -> impl Strategy<Value = String> {
    let header = prop_oneof![
        Just("[app]"),
        Just("[defaults]"),
        Just("[module.a]"),
        Just("[module.\"B ü\"]"),
        Just("[[route]]"),
        Just("[[cluster]]"),
        Just("[route.aggregate]"),
        Just("[gateway]"),
        Just("[gateway.tls]"),
        Just("[[tcp]]"),
        Just("[admin]"),
    ];
    let key = prop_oneof![
        Just("name".to_owned()),
        Just("phase".into()),
        Just("command".into()),
        Just("needs".into()),
        Just("path".into()),
        Just("service".into()),
        Just("cluster".into()),
        Just("endpoints".into()),
        Just("env".into()),
        Just("database".into()),
        Just("listen".into()),
        Just("timeout".into()),
        Just("users".into()),
        Just("split".into()),
        Just("regex".into()),
        Just("when".into()),
        Just("headers".into()),
        "[a-zA-Z_.\"-]{1,6}",
    ];
    let value = prop_oneof![
        Just("\"a\"".to_owned()),
        Just("[\"a\", \"b\"]".into()),
        Just("{ get = \"/\", service = \"a\" }".into()),
        Just("{ a = [1, {}], 'b.c' = nan }".into()),
        Just("1979-05-27T07:32:00Z".into()),
        Just("99999999999999999999".into()),
        Just("\"\"\"\nä\n:://:@\u{1b}[31m\"\"\"".into()),
        Just("\"postgres://ä:ö@ü\"".into()),
        "[0-9]{1,4}",
        ".{0,8}",
    ];
    let line = prop_oneof![
        2 => header.prop_map(ToOwned::to_owned),
        5 => (key, value).prop_map(|(k, v)| format!("{k} = {v}")),
        1 => ".{0,20}".prop_map(|text| text),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn any_text_gives_an_answer_and_never_a_panic(text in prop_oneof![documents(), ".*"]) {
        if let Some(report) = report("trellis.toml", &text) {
            prop_assert!(!report.is_empty());
            prop_assert_eq!(report.findings().len(), report.len());
            prop_assert!(report.render(true).contains("TRL30"));
        }
    }
}
