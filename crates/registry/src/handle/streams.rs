//! Endpoints as streams of server-sent events. What is asked for when the reader has room is the last set, so nothing piles
//! up for one who reads slowly, or not at all.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};
use trellis_core::ServiceName;

use super::Handle;
use crate::broadcast::{Follower, News};
use crate::error::Result;
use crate::shared::Shared;
use crate::state::State;

/// After so long without news there is a sign of life.
const BEAT: Duration = Duration::from_secs(15);
/// Nothing, as a server-sent event.
const SIGN_OF_LIFE: &[u8] = b":\n\n";

/// The endpoints of a service, as events whose ids are revisions.
pub(crate) struct Events {
    follower: Follower,
    shared: Arc<Shared>,
    beat: Beat,
    _place: OwnedSemaphorePermit,
}

/// The endpoints of several services, as events whose ids are [`Mark`]s.
pub(crate) struct ManyEvents {
    followers: Vec<(ServiceName, Follower)>,
    shared: Arc<Shared>,
    beat: Beat,
    _place: OwnedSemaphorePermit,
}

/// How far someone has come who follows several services. Of no meaning in another run, or at another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) run: u64,
    pub(crate) index: u64,
}

/// The time for a sign of life. It runs on whatever is sent meanwhile: to move a timer for each event costs more.
struct Beat {
    sleep: Pin<Box<Sleep>>,
    /// Whom it wakes.
    waker: Option<Waker>,
    sent_since: bool,
}

impl Handle {
    /// The endpoints of a service as server-sent events, whose ids are revisions: the last set at once, unless it is
    /// known, and then each time it changes. Those of one `group` are woken together.
    pub(crate) fn events(&self, service: &ServiceName, known: Option<u64>, group: u64) -> Result<Events> {
        let follower = self.shared.broadcast(service)?.follow(known, group);
        let place = self.owned_place()?;
        Ok(Events { follower, shared: self.shared.clone(), beat: Beat::new(), _place: place })
    }

    /// The endpoints of several services: the last set of each at once, unless it was there at `after`, and then each time
    /// one changes. Counts as one who waits.
    pub(crate) fn many_events(
        &self,
        services: Vec<ServiceName>,
        after: Option<Mark>,
        group: u64,
    ) -> Result<ManyEvents> {
        let followers = self.shared.follow(services, after, group)?;
        let place = self.owned_place()?;
        Ok(ManyEvents { followers, shared: self.shared.clone(), beat: Beat::new(), _place: place })
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Poll::Ready(news) = this.follower.poll_news(cx, |told| told.event()) {
            let Some(News { told, missed }) = news else { return Poll::Ready(None) };
            this.beat.sent_since = true;
            if missed > 0 {
                this.shared.counters.missed.add(missed);
            }
            return Poll::Ready(Some(Ok(Frame::data(told))));
        }
        ready!(this.beat.poll(cx));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(SIGN_OF_LIFE)))))
    }
}

impl Body for ManyEvents {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        // Looked at first: what is not found below changes later than this.
        let index = this.shared.read(State::index);
        let (mut bytes, mut missing, mut over) = (BytesMut::new(), 0, false);
        for (service, follower) in &mut this.followers {
            match follower.poll_news(cx, |told| told.named(service)) {
                Poll::Pending => {}
                Poll::Ready(None) => over = true,
                Poll::Ready(Some(News { told, missed })) => {
                    bytes.extend_from_slice(&told);
                    missing += missed;
                }
            }
        }
        // The end comes when all of the last sets are told.
        if bytes.is_empty() && over {
            return Poll::Ready(None);
        }
        if bytes.is_empty() {
            ready!(this.beat.poll(cx));
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(SIGN_OF_LIFE)))));
        }
        this.beat.sent_since = true;
        this.shared.counters.missed.add(missing);
        // An event without data is none, but its id is kept by whoever reads.
        let mark = Mark { run: this.shared.run, index };
        bytes.extend_from_slice(format!("id: {mark}\n\n").as_bytes());
        Poll::Ready(Some(Ok(Frame::data(bytes.freeze()))))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.run, self.index)
    }
}

impl FromStr for Mark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (run, index) = text.split_once('-').ok_or(())?;
        let run = u64::from_str_radix(run, 16).map_err(|_| ())?;
        Ok(Self { run, index: index.parse().map_err(|_| ())? })
    }
}

impl Beat {
    fn new() -> Self {
        Self { sleep: Box::pin(sleep(BEAT)), waker: None, sent_since: false }
    }

    /// Ready when nothing has been sent for a while.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waits = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if waits && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            self.sleep.as_mut().reset(Instant::now() + BEAT);
            if !std::mem::take(&mut self.sent_since) {
                self.waker = None;
                return Poll::Ready(());
            }
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::advance;
    use trellis_runtime::WallClock;
    use trellis_storage::members::{self, Handle as Members};

    use super::*;
    use crate::Options;
    use crate::registration::{Lease, Registration};
    use crate::shared::now;
    use crate::state::{Overrides, State};

    fn handle() -> Handle {
        let (options, clock) = (Options { max_waiters: 2, ..Options::default() }, WallClock::fixed(0));
        let state = State::new(&options, Overrides::default(), 0, now(&clock));
        Handle::new(Arc::new(Shared::new(options, clock, state)), mpsc::channel(1).0, alone())
    }

    /// The only member of a store of its own. On another runtime, whose clock nobody stops.
    fn alone() -> Members {
        let join = async {
            let dir = tempfile::tempdir().unwrap();
            let options = trellis_storage::Options::sqlite(&dir.path().join("a.db"));
            let store = trellis_storage::Store::open(options).await.unwrap();
            let (_, handle) = members::Members::join(&store, members::Options::new("a", "")).await.unwrap();
            store.close().await;
            handle
        };
        let run =
            || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(join);
        std::thread::scope(|scope| scope.spawn(run).join().unwrap())
    }

    fn name() -> ServiceName {
        "a".parse().unwrap()
    }

    /// An instance comes, so that the set is another.
    fn change(handle: &Handle, number: usize) {
        let service = crate::Name::from(name());
        let id = format!("a-{number}").parse().unwrap();
        let registration = Registration { lease: Lease::Managed, ..Registration::new(id, service, "h", 1) };
        handle.register(registration).unwrap();
    }

    /// What there is to read now; nothing if that is to come.
    fn read(events: &mut Events) -> Option<String> {
        let polled = Pin::new(events).poll_frame(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(frame) = polled else { return None };
        let data = frame.map(|frame| frame.unwrap().into_data().unwrap());
        Some(data.map_or_else(|| "the end".into(), |data| String::from_utf8(data.into()).unwrap()))
    }

    #[tokio::test]
    async fn who_does_not_read_gets_the_last_set_when_they_do() {
        let handle = handle();
        let mut events = handle.events(&name(), None, 0).unwrap();
        assert_eq!(read(&mut events).unwrap(), "id: 0\ndata: {\"revision\":0,\"endpoints\":[]}\n\n");
        assert_eq!(read(&mut events), None);
        for number in 1..=100 {
            change(&handle, number);
        }
        let last = read(&mut events).unwrap();
        assert!(last.contains("\"a-1\"") && last.contains("\"a-100\""), "{last}");
        assert_eq!((read(&mut events), handle.stats().missed), (None, 99));
        // Whoever comes back with what it has is told nothing, and with something else all of it.
        let revision = handle.endpoints(&name()).revision;
        assert_eq!(read(&mut handle.events(&name(), Some(revision), 0).unwrap()), None);
        assert_eq!(read(&mut handle.events(&name(), Some(7), 0).unwrap()).unwrap(), last);
    }

    #[tokio::test]
    async fn what_is_told_is_made_once_for_all() {
        let handle = handle();
        change(&handle, 1);
        let mut both = [(); 2].map(|()| handle.events(&name(), None, 0).unwrap());
        let bytes = both.each_mut().map(|events| {
            let polled = Pin::new(events).poll_frame(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Some(frame)) = polled else { panic!("no event") };
            frame.unwrap().into_data().unwrap().as_ptr()
        });
        assert_eq!(bytes[0], bytes[1]);
        // There is no room for a third, until one goes.
        assert!(matches!(handle.events(&name(), None, 0), Err(crate::Error::TooManyWaiters(2))));
        drop(both);
        assert!(handle.events(&name(), None, 0).is_ok());
    }

    fn read_many(events: &mut ManyEvents) -> Option<String> {
        let polled = Pin::new(events).poll_frame(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(frame) = polled else { return None };
        let data = frame.map(|frame| frame.unwrap().into_data().unwrap());
        Some(data.map_or_else(|| "the end".into(), |data| String::from_utf8(data.into()).unwrap()))
    }

    /// The mark behind some events.
    fn mark(events: &str) -> Mark {
        events.trim_end().rsplit_once("id: ").unwrap().1.parse().unwrap()
    }

    #[tokio::test]
    async fn one_stream_follows_many_and_goes_on_where_it_ended() {
        let handle = handle();
        let all = || vec!["a".parse().unwrap(), "b".parse().unwrap()];
        let mut events = handle.many_events(all(), None, 0).unwrap();
        let first = read_many(&mut events).unwrap();
        assert_eq!(first.matches("data: ").count(), 2, "{first}");
        assert_eq!(read_many(&mut events), None);
        change(&handle, 1);
        let second = read_many(&mut events).unwrap();
        assert!(second.starts_with("data: {\"service\":\"a\",\"revision\":"), "{second}");
        assert!(second.contains("a-1") && !second.contains("\"b\""), "{second}");
        drop(events);

        // Nothing has changed since the second, but something since the first.
        assert_eq!(read_many(&mut handle.many_events(all(), Some(mark(&second)), 0).unwrap()), None);
        let again = read_many(&mut handle.many_events(all(), Some(mark(&first)), 0).unwrap()).unwrap();
        assert_eq!(again, second);
        // What another run, or a later time, knows is not known here.
        let here = mark(&second);
        for other in [Mark { run: !here.run, ..here }, Mark { index: u64::MAX, ..here }] {
            let told = read_many(&mut handle.many_events(all(), Some(other), 0).unwrap()).unwrap();
            assert_eq!(told.matches("data: ").count(), 2, "{told}");
        }
    }

    #[tokio::test]
    async fn a_service_that_went_meanwhile_is_told_as_empty() {
        let handle = handle();
        let all = || vec!["a".parse().unwrap(), "b".parse().unwrap()];
        change(&handle, 1);
        let before = mark(&read_many(&mut handle.many_events(all(), None, 0).unwrap()).unwrap());
        handle.deregister(&"a-1".parse().unwrap()).unwrap();
        let told = read_many(&mut handle.many_events(all(), Some(before), 0).unwrap()).unwrap();
        assert!(told.contains("{\"service\":\"a\",\"revision\":"), "{told}");
        assert!(told.contains("\"endpoints\":[]}"), "{told}");
    }

    #[tokio::test]
    async fn the_end_of_many_comes_after_their_last_sets() {
        let handle = handle();
        let mut events = handle.many_events(vec![name()], None, 0).unwrap();
        read_many(&mut events).unwrap();
        change(&handle, 1);
        handle.shared.close();
        assert!(read_many(&mut events).unwrap().contains("a-1"));
        assert_eq!(read_many(&mut events).unwrap(), "the end");
    }

    #[test]
    fn a_mark_is_read_as_it_is_written() {
        let mark = Mark { run: u64::MAX, index: 17 };
        assert_eq!(mark.to_string().parse(), Ok(mark));
        for odd in ["", "17", "x-17", "1-", "1-x", "-1"] {
            assert!(odd.parse::<Mark>().is_err(), "{odd}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_shows_that_it_lives() {
        let handle = handle();
        let mut events = handle.events(&name(), Some(0), 0).unwrap();
        assert_eq!(read(&mut events), None);
        advance(BEAT).await;
        assert_eq!(read(&mut events).unwrap(), ":\n\n");
        change(&handle, 1);
        assert!(read(&mut events).unwrap().contains("a-1"));
        advance(BEAT).await;
        assert_eq!(read(&mut events), None, "something was sent in this time");
        advance(BEAT).await;
        assert_eq!(read(&mut events).unwrap(), ":\n\n");
    }

    #[tokio::test]
    async fn a_registry_that_stops_ends_every_stream() {
        let handle = handle();
        let mut events = handle.events(&name(), Some(0), 0).unwrap();
        assert_eq!(read(&mut events), None);
        handle.shared.close();
        assert_eq!(read(&mut events).unwrap(), "the end");
        assert!(matches!(handle.events(&name(), None, 0), Err(crate::Error::Stopping)));
    }
}
