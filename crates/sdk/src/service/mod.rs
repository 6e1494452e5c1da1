//! A process that hosts modules.

mod config;
mod doors;
mod environment;
mod host;
mod logging;
mod middleware;
mod registration;

use std::process::ExitCode;

use trellis_core::error::{Result, chain};
use trellis_core::{Error, ServiceName, codes};

use crate::Module;

pub use config::{DatabaseConfig, RedisConfig, ServiceConfig};
use environment::Environment;

/// A program made of modules. [`main`](Self::main) hosts those that `TRELLIS_MODULES` names, or all of them.
pub struct Service {
    name: &'static str,
    version: &'static str,
    modules: Vec<Module>,
}

impl Service {
    /// A program called `name`.
    pub fn new(name: &'static str) -> Self {
        Self { name, version: "", modules: Vec::new() }
    }

    /// Sets the version it reports.
    #[must_use]
    pub fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// Adds a module.
    #[must_use]
    pub fn module(mut self, module: Module) -> Self {
        self.modules.push(module);
        self
    }

    /// Runs until SIGTERM or SIGINT, then lets running requests finish. Reads the environment, installs the log and
    /// handles signals: call it from `main` and nowhere else.
    pub fn main(self) -> ExitCode {
        let environment = Environment::of_process();
        logging::install(environment.get("TRELLIS_LOG"), self.name);
        match self.start(environment) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!(code = error.code().id, error = chain(&error), "cannot run");
                ExitCode::FAILURE
            }
        }
    }

    fn start(self, environment: Environment) -> Result<()> {
        let listener = environment::inherited_listener()?;
        let config = ServiceConfig::load(environment, self.name)?;
        let version = self.version;
        let modules = self.hosted(&config.modules)?;
        let workers = std::thread::available_parallelism().map_or(2, |n| n.get().min(config.max_workers));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build()
            .map_err(|e| Error::new(codes::INTERNAL, "cannot start the runtime").because(e))?;
        runtime.block_on(host::run(modules, config, listener, version))
    }

    fn hosted(self, wanted: &[ServiceName]) -> Result<Vec<Module>> {
        let known = self.modules.iter().map(|m| m.name).collect::<Vec<_>>().join(", ");
        let mut modules = self.modules;
        if wanted.is_empty() {
            return Ok(modules);
        }
        let mut hosted = Vec::new();
        for name in wanted {
            let found = modules.iter().position(|m| m.name == name.as_str()).ok_or_else(|| {
                let what = format!(
                    "TRELLIS_MODULES names {name}, which {} does not have; it has: {known}",
                    self.name
                );
                Error::new(codes::INVALID_INPUT, what)
            })?;
            hosted.push(modules.swap_remove(found));
        }
        Ok(hosted)
    }
}

#[cfg(test)]
pub(crate) mod for_tests {
    pub(crate) use super::host::Host;
    use super::{Environment, ServiceConfig};

    pub(crate) fn config(variables: &[(&str, &str)]) -> ServiceConfig {
        let environment = Environment(variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
        ServiceConfig::load(environment, "test").unwrap()
    }
}
