//! `trellis gateway`

use std::process::ExitCode;

use clap::ArgMatches;
use tokio::time::Instant;
use tracing::warn;
use trellis_core::Error;

use super::args::GatewayAlone;
use super::{manifest, output, process};
use crate::gateway::{self, Options, Summary};
use crate::logging;

/// Runs a gateway until a signal.
pub(crate) fn run(gateway: &GatewayAlone, matches: &ArgMatches, json: bool) -> Result<ExitCode, Error> {
    let began = Instant::now();
    let overrides = gateway.overrides(matches);
    let manifest = match manifest::load(gateway.file.as_deref(), &overrides, json)? {
        Ok(manifest) => manifest,
        Err(code) => return Ok(code),
    };
    logging::start(&gateway.log)?;
    let options = Options { manifest, overrides, began };
    process::run(|stop| gateway::run(options, stop, |summary| tell(summary, json)))
}

fn tell(summary: &Summary, json: bool) {
    let told = if json { output::print_json(summary) } else { output::print(&text(summary)) };
    if let Err(error) = told {
        warn!(%error, "the summary cannot be shown");
    }
}

fn text(summary: &Summary) -> String {
    let row = |what: &str, place: &str, how: String| [what.to_owned(), place.to_owned(), how];
    let mut rows =
        vec![row("gateway", &summary.gateway, format!("clients come here; {} route(s)", summary.routes))];
    rows.extend(summary.tls.as_ref().map(|tls| row("gateway", tls, "the same over TLS".into())));
    rows.push(row("admin API", &summary.admin, "operators: /metrics, /v1/gateway".into()));
    format!(
        "\nthe gateway is ready after {:.1} s\n\n{}\nCtrl-C stops it.\n",
        summary.ready_ms as f64 / 1000.0,
        output::table(["WHAT", "WHERE", "HOW"], rows)
    )
}
