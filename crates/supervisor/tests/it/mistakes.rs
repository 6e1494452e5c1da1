//! Mistakes that are found before anything is started.

use std::sync::Arc;

use trellis_core::codes;
use trellis_core::{Code, InstanceId};
use trellis_supervisor::{Observer, Options, ProcessEvent, ProcessSpec, Stream, Supervisor};

use crate::fleet::{module, needing, options};

/// Nothing happens here.
struct Nobody;

impl Observer for Nobody {
    fn event(&self, event: &ProcessEvent) {
        panic!("{event:?}");
    }

    fn line(&self, id: &InstanceId, _: Stream, line: &str) {
        panic!("{id}: {line}");
    }
}

#[track_caller]
fn refused(options: Options, specs: Vec<ProcessSpec>, code: Code, words: &[&str]) {
    let error = Supervisor::new(options, specs, Arc::new(Nobody)).unwrap_err();
    let error = trellis_core::Error::from(error);
    assert_eq!(error.code(), code, "{error}");
    for word in words {
        assert!(error.detail().contains(word), "{word:?} is not in {error}");
    }
}

fn changed(change: impl FnOnce(&mut ProcessSpec)) -> Vec<ProcessSpec> {
    let mut spec = module("orders", "serve");
    change(&mut spec);
    vec![module("users", "serve"), spec]
}

#[test]
fn a_command_that_cannot_be_run() {
    let missing = changed(|spec| spec.command = vec!["/nowhere/shop".into(), "serve".into()]);
    refused(options(), missing, codes::COMMAND_NOT_FOUND, &["orders-1", "/nowhere/shop", "no file"]);
    let not_executable = changed(|spec| spec.command = vec!["/etc/passwd".into()]);
    refused(options(), not_executable, codes::COMMAND_NOT_FOUND, &["orders-1", "/etc/passwd", "chmod +x"]);
    let empty = changed(|spec| spec.command.clear());
    refused(options(), empty, codes::COMMAND_NOT_FOUND, &["orders-1", "no command"]);
    let nowhere = changed(|spec| spec.directory = "/nowhere".into());
    refused(options(), nowhere, codes::COMMAND_NOT_FOUND, &["orders-1", "/nowhere", "directory"]);
}

#[test]
fn needs_that_cannot_be_met() {
    let unknown = vec![needing(module("orders", "serve"), &["ghost"])];
    refused(options(), unknown, codes::INVALID_MANIFEST, &["orders-1 needs ghost"]);
    let circle = vec![needing(module("a", "serve"), &["b"]), needing(module("b", "serve"), &["a"])];
    refused(options(), circle, codes::INVALID_MANIFEST, &["a-1 -> b-1 -> a-1"]);
}

#[test]
fn names_and_paths_that_are_not_valid() {
    let twins = changed(|spec| spec.id = "users-1".parse().unwrap());
    refused(options(), twins, codes::INVALID_MANIFEST, &["two", "users-1"]);
    for path in ["health", "/he alth", "http://elsewhere/health", ""] {
        let spec = changed(|spec| spec.health_path = path.into());
        refused(options(), spec, codes::INVALID_MANIFEST, &["orders-1", &format!("{path:?}")]);
    }
}

#[test]
fn helpers_that_cannot_be_run() {
    let no_launcher = Options { launcher: vec!["/nowhere/trellis".into()], ..options() };
    refused(no_launcher, vec![], codes::INTERNAL, &["launcher", "/nowhere/trellis"]);
    let no_guardian = Options { guardian: vec![], ..options() };
    refused(no_guardian, vec![], codes::INTERNAL, &["guardian"]);
}
