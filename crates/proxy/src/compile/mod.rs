//! From the application model to a route table, with every mistake on the way.

mod aggregate;
mod cluster;
mod edge;
mod matchers;
mod pattern;
mod route;
mod target;
mod template;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use trellis_core::model::{self, AppModel};
use trellis_core::{HumanDuration, ServiceName};

use crate::edge::compress::Compression;
use crate::edge::cors::Cors;
use crate::mistake::{Mistake, Mistakes};
use crate::table::RouteTable;
use upstream::Named;

#[cfg(test)]
pub(crate) use {
    pattern::{captured, pattern, regex},
    template::{location, rewrite},
};

/// Compiles the routes of an application: `[[route]]` in the order of the file, then `routes` of each module, then
/// `[[tcp]]`. Returns every mistake, not the first.
///
/// A route may lead to the modules of the file; in a file without modules, to any service, since all of them register
/// themselves.
pub fn compile(model: &AppModel) -> Result<RouteTable, Vec<Mistake>> {
    let mut compiler = Compiler {
        model,
        mistakes: Mistakes::default(),
        table: RouteTable::of(model.gateway.clone()),
        upstreams: HashMap::new(),
        clusters: HashMap::new(),
        policies: HashMap::new(),
        defaults: Defaults::default(),
    };
    compiler.gateway();
    compiler.clusters();
    for (index, route) in model.route.iter().enumerate() {
        compiler.route(index, route);
    }
    for (name, module) in &model.module {
        for (index, path) in module.routes.iter().enumerate() {
            compiler.shorthand(name, index, path);
        }
    }
    for (index, tcp) in model.tcp.iter().enumerate() {
        compiler.tcp(index, tcp);
    }
    compiler.mistakes.into_result(compiler.table)
}

struct Compiler<'m> {
    model: &'m AppModel,
    mistakes: Mistakes,
    table: RouteTable,
    /// Index of each upstream in the table.
    upstreams: HashMap<Named, usize>,
    clusters: HashMap<&'m ServiceName, &'m model::Cluster>,
    /// The clusters that say how services are called.
    policies: HashMap<&'m ServiceName, &'m model::Cluster>,
    defaults: Defaults,
}

/// What routes have unless they say otherwise.
#[derive(Debug, Default)]
struct Defaults {
    cors: Option<Arc<Cors>>,
    compression: Option<Arc<Compression>>,
}

impl Compiler<'_> {
    fn gateway(&mut self) {
        let gateway = &self.model.gateway;
        self.wait("gateway.timeout".into(), Some(gateway.timeout), Duration::ZERO);
        for (name, time) in [("idle_timeout", gateway.idle_timeout), ("stall_timeout", gateway.stall_timeout)]
        {
            self.longer_than_zero(format!("gateway.{name}"), Some(time));
        }
        self.breaker("gateway.breaker", &gateway.breaker);
        if let Some(retry) = &gateway.retry {
            self.retry("gateway.retry", retry);
        }
        if let Some(tls) = &gateway.tls {
            self.longer_than_zero("gateway.tls.reload".into(), Some(tls.reload));
            if tls.certificates.is_empty() {
                self.mistakes
                    .add("gateway.tls.certificates", "TLS needs at least one certificate with its key");
            }
        }
        self.defaults.cors = gateway.cors.as_ref().and_then(|cors| self.cors("gateway.cors", cors));
        let compression = gateway.compression.as_ref();
        self.defaults.compression = compression.and_then(|c| self.compression("gateway.compression", c));
    }

    /// A wait from the file, which must not be nothing.
    fn wait(&mut self, path: String, given: Option<HumanDuration>, otherwise: Duration) -> Duration {
        if given.is_some_and(|HumanDuration(wait)| wait.is_zero()) {
            self.mistakes.add(path, "no wait at all would fail every request: use at least 1ms");
        }
        given.map_or(otherwise, Duration::from)
    }
}
