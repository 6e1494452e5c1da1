//! What a child writes, as lines.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinSet;

use crate::board::Fixed;
use crate::lines::Lines;
use crate::{Observer, Stream};

const CHUNK: usize = 4 << 10;

/// Whose lines go where.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) index: usize,
    pub(crate) fixed: Arc<Fixed>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) max_line_bytes: usize,
}

impl Sink {
    fn line(&self, stream: Stream, line: &str) {
        let about = &self.fixed.processes[self.index];
        about.keep(line);
        self.observer.line(&about.id, stream, line);
    }

    /// Reads a stream to its end, in a task of its own: the child must not wait for anything else we do.
    pub(crate) fn read(
        &self,
        from: Option<impl AsyncRead + Unpin + Send + 'static>,
        stream: Stream,
        tasks: &mut JoinSet<()>,
    ) {
        let Some(mut from) = from else { return };
        let sink = self.clone();
        tasks.spawn(async move {
            let mut lines = Lines::new(sink.max_line_bytes);
            let mut emit = |line: &str| sink.line(stream, line);
            let mut chunk = [0; CHUNK];
            // An error ends the stream like its end does; a pipe has no other news.
            while let Ok(read @ 1..) = from.read(&mut chunk).await {
                lines.feed(&chunk[..read], &mut emit);
            }
            lines.finish(&mut emit);
        });
    }
}
