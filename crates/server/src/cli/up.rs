//! `trellis up`

use std::process::ExitCode;

use clap::ArgMatches;
use tokio::time::Instant;
use tracing::warn;
use trellis_core::{Error, codes};

use super::args::Up;
use super::{files, manifest, output, process, summary};
use crate::logging;
use crate::up::{self, Options, Summary};

/// Runs the platform until a signal.
pub(crate) fn run(up: &Up, matches: &ArgMatches, json: bool) -> Result<ExitCode, Error> {
    let began = Instant::now();
    let overrides = up.source.overrides(matches);
    let manifest = match manifest::load(up.source.file.as_deref(), &overrides, json)? {
        Ok(manifest) => manifest,
        Err(code) => return Ok(code),
    };
    logging::start(&up.log)?;
    let program = std::env::current_exe().map_err(|error| {
        Error::new(codes::INTERNAL, "the path of trellis itself is not known").because(error)
    })?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the outermost layer: the path of programs and the keys for secrets are environment variables"
    )]
    let (search_path, secret_keys) = (std::env::var_os("PATH"), std::env::var("TRELLIS_SECRET_KEYS").ok());
    let open_files = files::raise();
    let options = Options { manifest, overrides, program, search_path, secret_keys, open_files, began };
    process::run(|stop, _| up::run(options, stop, |summary| tell(summary, json)))
}

fn tell(summary: &Summary, json: bool) {
    let told = if json { output::print_json(summary) } else { output::print(&summary::text(summary)) };
    if let Err(error) = told {
        warn!(%error, "the summary cannot be shown");
    }
}
