//! Keeps the documents' links to each other alive.

use std::path::{Path, PathBuf};

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension().is_some_and(|e| e == "md") {
            found.push(path);
        }
    }
}

/// The targets of `[text](target)` that name a file, without their `#fragment`; code blocks hold no links.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let targets = prose.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    let files = targets.map(|target| target.split('#').next().unwrap_or_default());
    files.filter(|file| !file.is_empty() && !file.contains("://")).collect()
}

#[test]
fn links_are_found_and_others_left_alone() {
    let text = "[a](docs/a.md#part) [b](https://example.com/x) [c](#here)\n```\n[d](no.md)\n```\n[e](e.md)";
    assert_eq!(links(text), ["docs/a.md", "e.md"]);
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all = Vec::new();
    documents(&root.join("docs"), &mut all);
    all.extend(
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)),
    );
    let mut dead = Vec::new();
    for document in all {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            if !document.parent().unwrap().join(link).exists() {
                dead.push(format!("{} -> {link}", document.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}
