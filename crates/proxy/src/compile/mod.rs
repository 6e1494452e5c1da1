//! From the application model to a route table, with every mistake on the way.

mod aggregate;
mod pattern;
mod route;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::HashMap;
use std::time::Duration;

use trellis_core::model::{AppModel, ClusterEndpoint};
use trellis_core::{HumanDuration, ServiceName};

use crate::mistake::{Mistake, Mistakes};
use crate::table::{RouteTable, Upstream};

/// Compiles the routes of an application: `[[route]]` in the order of the file, then `routes` of each module. Returns
/// every mistake, not the first.
///
/// A route may lead to the modules of the file; in a file without modules, to any service, since all of them register
/// themselves.
pub fn compile(model: &AppModel) -> Result<RouteTable, Vec<Mistake>> {
    let mut compiler = Compiler {
        model,
        mistakes: Mistakes::default(),
        table: RouteTable::default(),
        upstreams: HashMap::new(),
        clusters: HashMap::new(),
    };
    compiler.wait("gateway.timeout".into(), Some(model.gateway.timeout), Duration::ZERO);
    compiler.clusters();
    for (index, route) in model.route.iter().enumerate() {
        compiler.route(index, route);
    }
    for (name, module) in &model.module {
        for (index, path) in module.routes.iter().enumerate() {
            compiler.shorthand(name, index, path);
        }
    }
    compiler.mistakes.into_result(compiler.table)
}

struct Compiler<'m> {
    model: &'m AppModel,
    mistakes: Mistakes,
    table: RouteTable,
    /// Index of each upstream in the table.
    upstreams: HashMap<Upstream, usize>,
    clusters: HashMap<&'m ServiceName, &'m [ClusterEndpoint]>,
}

impl Compiler<'_> {
    /// A wait from the file, which must not be nothing.
    fn wait(&mut self, path: String, given: Option<HumanDuration>, otherwise: Duration) -> Duration {
        if given.is_some_and(|HumanDuration(wait)| wait.is_zero()) {
            self.mistakes.add(path, "no wait at all would fail every request: use at least 1ms");
        }
        given.map_or(otherwise, Duration::from)
    }
}
