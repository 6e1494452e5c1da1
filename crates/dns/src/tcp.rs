//! Questions on connections, each after its length in two bytes (RFC 7766).

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;
use trellis_core::error::Result;
use trellis_runtime::Shutdown;

use crate::answer::Transport;
use crate::service::Shared;
use crate::stats::add;

/// Before the next try after the system failed to give a connection, as it does when files run out.
const PAUSE: Duration = Duration::from_millis(50);
/// Answers are sent together up to this size while more questions have come already.
const TOGETHER: usize = 16 << 10;

/// Accepts connections until told to stop; then those that are open finish the answer that is under way.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, shutdown: Shutdown) -> Result<()> {
    let places = Arc::new(Semaphore::new(shared.options.max_connections.min(Semaphore::MAX_PERMITS)));
    let mut running = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = running.join_next() => continue,
            () = shutdown.triggered() => break,
        };
        match accepted {
            Ok((stream, _)) => match places.clone().try_acquire_owned() {
                Ok(place) => {
                    running.spawn(carry(stream, place, shared.clone(), shutdown.clone()));
                }
                // Closed by dropping it. Whoever asks comes back; a connection that waits would look like no answer.
                Err(_) => add(&shared.counters.refused),
            },
            Err(error) => {
                debug!(%error, "no connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    while running.join_next().await.is_some() {}
    Ok(())
}

/// Counts an open connection for as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        add(&shared.counters.connections);
        add(&shared.counters.open);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn carry(stream: TcpStream, _place: OwnedSemaphorePermit, shared: Arc<Shared>, shutdown: Shutdown) {
    let open = Open::new(shared);
    match answer_all(stream, &open.0, &shutdown).await {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => add(&open.0.counters.idle),
        Err(error) => debug!(%error, "a connection ended"),
        Ok(()) => {}
    }
}

async fn answer_all(stream: TcpStream, shared: &Shared, shutdown: &Shutdown) -> io::Result<()> {
    let _ = stream.set_nodelay(true);
    let most = usize::from(shared.options.max_query_bytes);
    let idle = shared.options.idle_timeout;
    let mut stream = BufReader::with_capacity(most + 2, stream);
    let (mut question, mut answer, mut out) = (Vec::new(), Vec::new(), Vec::new());
    let mut random = fastrand::Rng::new();
    loop {
        let read = tokio::select! {
            // The time is for the whole question, so one that drips in does not hold the place.
            read = timeout(idle, read_question(&mut stream, most, &mut question)) => read,
            () = shutdown.triggered() => return Ok(()),
        };
        match read?? {
            Came::End => return Ok(()),
            Came::TooLong => {
                add(&shared.counters.malformed);
                return Ok(());
            }
            Came::Question => {}
        }
        let answered = shared.answer(&question, Transport::Tcp, &mut random, &mut answer);
        if answered && let Ok(len) = u16::try_from(answer.len()) {
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(&answer);
        }
        // What is no question has no place on a connection that is for questions.
        if !answered || out.len() >= TOGETHER || !is_whole(stream.buffer()) {
            timeout(idle, stream.get_mut().write_all(&out)).await??;
            out.clear();
            out.shrink_to(TOGETHER);
        }
        if !answered {
            return Ok(());
        }
    }
}

enum Came {
    Question,
    End,
    TooLong,
}

async fn read_question(
    stream: &mut BufReader<TcpStream>,
    most: usize,
    question: &mut Vec<u8>,
) -> io::Result<Came> {
    if stream.fill_buf().await?.is_empty() {
        return Ok(Came::End);
    }
    let len = usize::from(stream.read_u16().await?);
    if len > most {
        return Ok(Came::TooLong);
    }
    question.resize(len, 0);
    stream.read_exact(question).await?;
    Ok(Came::Question)
}

/// Whether the next question is there already.
fn is_whole(buffered: &[u8]) -> bool {
    buffered
        .split_first_chunk()
        .is_some_and(|(len, rest)| rest.len() >= usize::from(u16::from_be_bytes(*len)))
}
