//! `trellis check`, and what other commands do when there is no usable manifest.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use trellis_core::{Error, codes};

use super::{folder, output};
use crate::manifest::{Failure, Finding, Manifest};
use crate::settings::Overrides;

/// Checks `file` and tells every mistake.
pub(crate) fn check(file: &Path, json: bool) -> Result<ExitCode, Error> {
    match Manifest::load(Some(file), &folder()?, &Overrides::default()) {
        Ok(manifest) => {
            let (modules, routes) = (manifest.model.module.len(), manifest.model.route.len());
            if json {
                output::print_json(&Vec::<Finding>::new())?;
            } else {
                output::print(&format!(
                    "{} is fine: {modules} module(s), {routes} route(s)\n",
                    file.display()
                ))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(Failure::Unreadable(error)) => Err(how_to_begin(error)),
        Err(Failure::Mistaken(report)) => {
            if json {
                output::print_json(&report.findings())?;
            } else {
                output::print(&report.render(io::stdout().is_terminal()))?;
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The manifest that a command needs. If it has mistakes they are told here, and there is only the exit code left.
pub(crate) fn load(
    file: Option<&Path>,
    overrides: &Overrides,
    json: bool,
) -> Result<Result<Manifest, ExitCode>, Error> {
    match Manifest::load(file, &folder()?, overrides) {
        Ok(manifest) => Ok(Ok(manifest)),
        Err(Failure::Unreadable(error)) => Err(how_to_begin(error)),
        Err(Failure::Mistaken(report)) if json => {
            let error = report.error();
            Err(error.with("mistakes", json!(report.findings())))
        }
        Err(Failure::Mistaken(report)) => {
            let mut err = io::stderr();
            // If standard error is gone there is nobody left to tell.
            let _ = err.write_all(report.render(err.is_terminal()).as_bytes());
            Ok(Err(ExitCode::FAILURE))
        }
    }
}

fn how_to_begin(error: Error) -> Error {
    if error.code() != codes::MANIFEST_UNREADABLE {
        return error;
    }
    output::help(
        error,
        &[
            "name a manifest with `-f FILE`, or go to the folder that has a trellis.toml",
            "or write one: `[module.web]`, `command = [\"./server\"]`, `routes = [\"/**\"]`; the program listens on $PORT",
        ],
    )
}
