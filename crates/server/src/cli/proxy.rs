//! `trellis proxy`

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use tokio::time::Instant;
use tracing::warn;
use trellis_core::{Error, codes};

use super::args::Proxy;
use super::{files, manifest, output, process};
use crate::logging;
use crate::proxy::{self, Options, Sockets, Summary};
use crate::settings::Overrides;

/// Runs a proxy until a signal.
pub(crate) fn run(proxy: Proxy, json: bool) -> Result<ExitCode, Error> {
    let began = Instant::now();
    let manifest = match &proxy.file {
        None => None,
        Some(file) => match manifest::load(Some(file), &Overrides::default(), json)? {
            Ok(manifest) => Some(manifest),
            Err(code) => return Ok(code),
        },
    };
    let sockets = sockets(&proxy)?;
    logging::start(&proxy.log)?;
    let instance = match proxy.instance {
        Some(instance) => instance,
        None => format!("{}-1", proxy.service).parse().map_err(|error| {
            Error::new(codes::INVALID_PARAMETER, "the service cannot name an instance").because(error)
        })?,
    };
    let Proxy { service, app, control, .. } = proxy;
    let control = control.authority().to_owned();
    files::raise();
    let options = Options { service, instance, app, sockets, control, manifest, began };
    process::run(|stop, _| proxy::run(options, stop, |summary| tell(summary, json)))
}

/// Those that are inherited, as `trellis up` does it, or those that are named.
fn sockets(proxy: &Proxy) -> Result<Sockets, Error> {
    if let Some(listeners) = inherited()? {
        return Ok(Sockets::Inherited(listeners));
    }
    let (Some(inbound), Some(outbound)) = (proxy.inbound, proxy.outbound) else {
        let error = Error::new(codes::INVALID_PARAMETER, "it is not said where the proxy listens");
        return Err(output::help(error, &["name both: `--inbound 127.0.0.1:0 --outbound 127.0.0.1:0`"]));
    };
    let any = || SocketAddr::from(([127, 0, 0, 1], 0));
    Ok(Sockets::Addresses { inbound, outbound, admin: proxy.admin_listen.unwrap_or_else(any) })
}

/// The listeners that were bound for us (`LISTEN_FDS`, `LISTEN_PID`), if they were.
fn inherited() -> Result<Option<[TcpListener; 3]>, Error> {
    let broken =
        |error| Error::new(codes::CANNOT_LISTEN, "an inherited socket is no TCP listener").because(error);
    let mut inherited = listenfd::ListenFd::from_env();
    if inherited.len() == 0 {
        return Ok(None);
    }
    let mut take = |index| {
        let few = || {
            Error::new(codes::CANNOT_LISTEN, "three sockets are inherited or none: admin, inbound, outbound")
        };
        inherited.take_tcp_listener(index).map_err(broken)?.ok_or_else(few)
    };
    Ok(Some([take(0)?, take(1)?, take(2)?]))
}

fn tell(summary: &Summary, json: bool) {
    let told = if json { output::print_json(summary) } else { output::print(&text(summary)) };
    if let Err(error) = told {
        warn!(%error, "the summary cannot be shown");
    }
}

fn text(summary: &Summary) -> String {
    let rows = [
        ["inbound".to_owned(), summary.inbound.clone(), format!("leads to {}", summary.instance)],
        ["outbound".to_owned(), summary.outbound.clone(), "leads to services: `Host: NAME`".to_owned()],
        ["admin API".to_owned(), summary.admin.clone(), "operators: /v1/proxy, /metrics/inbound".to_owned()],
    ];
    format!(
        "\nthe proxy of {} is ready after {:.1} s\n\n{}\nCtrl-C stops it.\n",
        summary.service,
        summary.ready_ms as f64 / 1000.0,
        output::table(["WHAT", "WHERE", "HOW"], rows)
    )
}
