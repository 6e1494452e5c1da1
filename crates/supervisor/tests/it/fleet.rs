//! A supervisor under observation.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use trellis_core::HumanDuration;
use trellis_core::InstanceId;
use trellis_core::model::{RestartModel, SocketMode};
use trellis_runtime::Shutdown;
use trellis_supervisor::{
    Error, Handle, Observer, Options, ProcessEvent, ProcessSpec, ProcessStatus, Stream, Supervisor,
};

use crate::system::{DEADLINE, FIXTURE};

/// All that was told so far.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) events: Vec<ProcessEvent>,
    pub(crate) lines: Vec<(String, Stream, String)>,
}

#[derive(Debug, Default)]
struct Recorder(watch::Sender<Story>);

impl Observer for Recorder {
    fn event(&self, event: &ProcessEvent) {
        self.0.send_modify(|story| story.events.push(event.clone()));
    }

    fn line(&self, id: &InstanceId, stream: Stream, line: &str) {
        self.0.send_modify(|story| story.lines.push((id.to_string(), stream, line.to_owned())));
    }
}

/// A running supervisor.
pub(crate) struct Fleet {
    pub(crate) handle: Handle,
    story: watch::Receiver<Story>,
    pub(crate) shutdown: Shutdown,
    task: JoinHandle<Result<(), Error>>,
}

impl Fleet {
    pub(crate) fn start(specs: Vec<ProcessSpec>) -> Self {
        Self::start_with(options(), specs)
    }

    pub(crate) fn start_with(options: Options, specs: Vec<ProcessSpec>) -> Self {
        let recorder = Recorder::default();
        let story = recorder.0.subscribe();
        let (supervisor, handle) = Supervisor::new(options, specs, Arc::new(recorder)).unwrap();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(supervisor.run(shutdown.clone()));
        Self { handle, story, shutdown, task }
    }

    /// Waits until the story holds something.
    pub(crate) async fn until<T>(&self, what: &str, mut find: impl FnMut(&Story) -> Option<T>) -> T {
        let mut story = self.story.clone();
        let mut found = None;
        let told = timeout(
            DEADLINE,
            story.wait_for(|story| {
                found = find(story);
                found.is_some()
            }),
        );
        assert!(matches!(told.await, Ok(Ok(_))), "{what} was not told: {:#?}", self.story.borrow().events);
        found.unwrap()
    }

    /// Waits for the nth start of a process, and answers its process id and port.
    pub(crate) async fn started(&self, process: &str, nth: usize) -> (u32, u16) {
        let start = |event: &ProcessEvent| match event {
            ProcessEvent::Started { id, pid, port } if id.as_str() == process => Some((*pid, *port)),
            _ => None,
        };
        self.until("a start", |story| story.events.iter().filter_map(start).nth(nth)).await
    }

    /// Waits until a process was ready `times` times.
    pub(crate) async fn ready(&self, process: &str, times: usize) {
        let ready =
            |event: &&ProcessEvent| matches!(event, ProcessEvent::Ready { id, .. } if id.as_str() == process);
        self.until("readiness", |story| (story.events.iter().filter(ready).count() >= times).then_some(()))
            .await;
    }

    /// Waits for the nth exit of a process, and answers its reason and the wait after it.
    pub(crate) async fn exited(&self, process: &str, nth: usize) -> (String, Duration) {
        let exit = |event: &ProcessEvent| match event {
            ProcessEvent::Exited { id, reason, restart_in } if id.as_str() == process => {
                Some((reason.clone(), *restart_in))
            }
            _ => None,
        };
        self.until("an exit", |story| story.events.iter().filter_map(exit).nth(nth)).await
    }

    pub(crate) fn status(&self, process: &str) -> ProcessStatus {
        self.handle.processes().into_iter().find(|status| status.id.as_str() == process).unwrap()
    }

    pub(crate) fn events(&self) -> Vec<ProcessEvent> {
        self.story.borrow().events.clone()
    }

    /// Drops it as it is.
    pub(crate) fn abort(self) {
        self.task.abort();
    }

    /// Stops it, and answers everything that was told.
    pub(crate) async fn stop(self) -> Story {
        self.shutdown.trigger();
        timeout(DEADLINE, self.task).await.expect("the supervisor ends").unwrap().unwrap();
        let story = self.story.borrow();
        Story { events: story.events.clone(), lines: story.lines.clone() }
    }
}

pub(crate) fn options() -> Options {
    Options::new(vec![FIXTURE.into(), "launch".into()], vec![FIXTURE.into(), "guardian".into()])
}

/// An instance `NAME-1` of the service `NAME`, run by the fixture in a mode.
pub(crate) fn module(name: &str, mode: &str) -> ProcessSpec {
    ProcessSpec {
        id: format!("{name}-1").parse().unwrap(),
        provides: vec![name.parse().unwrap()],
        needs: Vec::new(),
        after: Vec::new(),
        command: vec![FIXTURE.into(), mode.into()],
        env: BTreeMap::new(),
        directory: "/".into(),
        socket: SocketMode::Port,
        more_sockets: Vec::new(),
        health_path: "/health".into(),
        start_timeout: DEADLINE,
        health_interval: Duration::from_millis(20),
        health_timeout: DEADLINE,
        grace: DEADLINE,
        restart: RestartModel {
            backoff: HumanDuration::from_millis(10),
            max_backoff: HumanDuration::from_millis(40),
            reset_after: HumanDuration(DEADLINE),
        },
    }
}

/// A module that is ready while `gate` exists.
pub(crate) fn gated(name: &str, gate: &Path) -> ProcessSpec {
    let mut spec = module(name, "serve");
    spec.env.insert("GATE".into(), gate.to_str().unwrap().into());
    spec
}

/// A module run by a shell; `$FIXTURE` is the fixture.
pub(crate) fn shell(name: &str, script: &str) -> ProcessSpec {
    let mut spec = module(name, "");
    spec.command = ["/bin/sh", "-c", script].map(Into::into).into();
    spec.env.insert("FIXTURE".into(), FIXTURE.into());
    spec
}

pub(crate) fn needing(mut spec: ProcessSpec, needs: &[&str]) -> ProcessSpec {
    spec.needs = needs.iter().map(|need| need.parse().unwrap()).collect();
    spec
}
