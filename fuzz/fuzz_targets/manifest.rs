//! Any text as a manifest: it is read or refused with a report that can be shown, and what was read compiles.
#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use trellis_server::manifest::Manifest;
use trellis_server::settings::Overrides;

fuzz_target!(|text: &str| {
    match Manifest::parse("fuzz", text.to_owned(), PathBuf::from("/app"), &Overrides::default()) {
        Ok(manifest) => {
            trellis_proxy::compile(&manifest.model).expect("what passed the checks compiles");
        }
        Err(report) => {
            assert!(!report.is_empty());
            let _ = (report.render(false), report.findings(), report.error());
        }
    }
});
