//! All processes together.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use trellis_runtime::{Shutdown, WallClock};

use crate::board::Board;
use crate::command::check_program;
use crate::driver::{Driver, Shared};
use crate::guard::Guard;
use crate::plan::Plan;
use crate::ports::Ports;
use crate::prepared::{Prepared, absolute};
use crate::spawner::Spawner;
use crate::{Error, Handle, Observer, Options, ProcessSpec};

/// Runs processes until it is told to stop.
pub struct Supervisor {
    options: Options,
    processes: Vec<Prepared>,
    board: Board,
    ports: Ports,
    observer: Arc<dyn Observer>,
}

impl Supervisor {
    /// Checks everything that can be checked before a process is started, and binds the sockets to be inherited.
    pub fn new(
        options: Options,
        specs: Vec<ProcessSpec>,
        observer: Arc<dyn Observer>,
    ) -> Result<(Self, Handle), Error> {
        let options = Options {
            launcher: helper("launcher", options.launcher)?,
            guardian: helper("guardian", options.guardian)?,
            ..options
        };
        let plan = Plan::new(&specs)?;
        let mut ids = BTreeSet::new();
        if let Some(twin) = specs.iter().find(|spec| !ids.insert(&spec.id)) {
            return Err(Error::DuplicateId(twin.id.clone()));
        }
        let ports = Ports::new();
        let prepared = specs.into_iter().map(|spec| Prepared::new(spec, &ports));
        let processes = prepared.collect::<Result<Vec<_>, _>>()?;
        let rows = processes.iter().map(|process| (&process.spec, process.port));
        let board = Board::new(rows, plan, WallClock::system());
        let handle = board.handle();
        Ok((Self { options, processes, board, ports, observer }, handle))
    }

    /// Runs the processes until `shutdown`, then stops them: those that are needed after those that need them. If this
    /// is dropped before it ends, they are killed.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Error> {
        let Self { options, processes, board, ports, observer } = self;
        let guard = Arc::new(Guard::new(options.guardian.clone()));
        let mut guardian = guard.start().map_err(|source| Error::Helper { role: "guardian", source })?;
        let spawner = Spawner::new(guard.clone(), processes.len())
            .map_err(|source| Error::Helper { role: "launcher", source })?;
        let shared = Arc::new(Shared { options, board, observer, ports, spawner, guard: guard.clone() });
        let mut drivers = JoinSet::new();
        for (index, process) in processes.into_iter().enumerate() {
            drivers.spawn(Driver::new(index, process, shared.clone()).run(shutdown.clone()));
        }
        let work = async {
            while let Some(ended) = drivers.join_next().await {
                ended.unwrap_or_else(propagate);
            }
            shutdown.triggered().await;
        };
        tokio::select! {
            () = work => {}
            never = guard.watch(&mut guardian) => match never {},
        }
        guard.close(guardian).await;
        Ok(())
    }
}

/// A driver is not aborted while it is waited for, so it can only have panicked: that is this task's panic as well.
fn propagate(error: JoinError) {
    if let Ok(panic) = error.try_into_panic() {
        std::panic::resume_unwind(panic);
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("options", &self.options)
            .field("processes", &self.processes)
            .finish_non_exhaustive()
    }
}

fn helper(role: &'static str, mut command: Vec<OsString>) -> Result<Vec<OsString>, Error> {
    let failed = |source| Error::Helper { role, source };
    let program = command.first_mut().ok_or_else(|| failed(io::Error::other("its command is empty")))?;
    absolute(program).map_err(failed)?;
    check_program(Path::new(program)).map_err(|error| failed(io::Error::other(error)))?;
    Ok(command)
}
