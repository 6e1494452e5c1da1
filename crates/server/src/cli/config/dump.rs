//! `trellis config dump`

use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::Value;
use trellis_core::Error;

use crate::cli::args::Source;
use crate::cli::{manifest, output};
use crate::settings::effective;

/// Prints every setting with its source.
pub(crate) fn dump(source: &Source, matches: &ArgMatches, json: bool) -> Result<ExitCode, Error> {
    let overrides = source.overrides(matches);
    let manifest = match manifest::load(source.file.as_deref(), &overrides, json)? {
        Ok(manifest) => manifest,
        Err(code) => return Ok(code),
    };
    let settings = effective(&manifest, &overrides);
    if json {
        output::print_json(&settings)?;
    } else {
        let rows = settings
            .into_iter()
            .map(|setting| [setting.key, text(&setting.value), setting.source.to_string()]);
        output::print(&output::table(["KEY", "VALUE", "SOURCE"], rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
