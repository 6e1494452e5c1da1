//! `trellis gateway`

use std::collections::HashMap;
use std::process::ExitCode;

use clap::ArgMatches;
use tokio::time::Instant;
use tracing::warn;
use trellis_core::{Error, codes};

use super::args::GatewayAlone;
use super::{files, manifest, output, process};
use crate::gateway::{self, HANDOVER, Inherited, Options, Program, Summary};
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
    let path = std::env::current_exe().map_err(|error| {
        Error::new(codes::INTERNAL, "the path of trellis itself is not known").because(error)
    })?;
    let program = Program { path, arguments: std::env::args_os().skip(1).collect() };
    files::raise();
    let options = Options { manifest, overrides, inherited: inherited()?, program, began };
    process::run(|stop, upgrade| gateway::run(options, stop, upgrade, |summary| tell(summary, json)))
}

/// The sockets that whoever started us has opened, by name.
fn inherited() -> Result<Inherited, Error> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the outermost layer: how sockets are handed over is said there"
    )]
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let broken =
        |error| Error::new(codes::CANNOT_LISTEN, "an inherited socket cannot be used").because(error);
    let mut sockets = listenfd::ListenFd::from_env();
    let (mut listeners, mut predecessor) = (HashMap::new(), None);
    for (index, name) in names.split(':').enumerate().take(sockets.len()) {
        if name == HANDOVER {
            predecessor = sockets.take_unix_datagram(index).map_err(broken)?;
        } else if let Some(listener) = sockets.take_tcp_listener(index).map_err(broken)? {
            listeners.insert(name.to_owned(), listener);
        }
    }
    Ok(Inherited::new(listeners, predecessor))
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
