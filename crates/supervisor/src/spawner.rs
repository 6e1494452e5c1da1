//! The one thread that starts children.
//!
//! The kernel ties a child's life to the thread that started it, and a runtime's threads come and go. This one lives
//! as long as the [`Spawner`].

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use crate::guard::{Guard, pid_of};

/// Starts children. When it is dropped, those that still run are killed by the kernel.
#[derive(Debug)]
pub(crate) struct Spawner {
    requests: mpsc::Sender<Request>,
}

struct Request {
    command: Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    /// For up to `capacity` starts at once; more wait. Needs a tokio runtime around it.
    pub(crate) fn new(guard: Arc<Guard>, capacity: usize) -> io::Result<Self> {
        let (requests, mut inbox) = mpsc::channel::<Request>(capacity.max(1));
        let runtime = runtime::Handle::current();
        thread::Builder::new().name("trellis-spawn".into()).spawn(move || {
            let _context = runtime.enter();
            while let Some(Request { mut command, reply }) = inbox.blocking_recv() {
                let spawned = command.spawn();
                // At once, so that the guardian knows the group before the module in it can start processes.
                if let Some(group) = spawned.as_ref().ok().and_then(pid_of) {
                    guard.add(group);
                }
                // If nobody waits for the child any more, dropping it kills it.
                let _ = reply.send(spawned);
            }
        })?;
        Ok(Self { requests })
    }

    /// Starts a child.
    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let ended = || io::Error::other("the spawning thread has ended");
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { command, reply }).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}
