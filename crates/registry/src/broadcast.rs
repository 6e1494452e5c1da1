//! What everyone who follows the endpoints of a service is told: the last set, in forms that are made once for all.
//!
//! A change reaches ten thousand followers within milliseconds, so each of them costs one lock and no more: what it is told
//! and its place for the next wait it gets in one go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use serde::Serialize;
use trellis_core::{EndpointSet, ServiceName};

/// The endpoints of a service, with their forms. Those that nobody asks for are not made.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) set: Arc<EndpointSet>,
    /// Counts the sets of this broadcast, so that whoever reads slowly can be seen to have missed some.
    number: u64,
    json: OnceLock<Bytes>,
    event: OnceLock<Bytes>,
    named: OnceLock<Bytes>,
}

/// The endpoints of a service, with its name.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceEndpoints<'s> {
    pub(crate) service: &'s ServiceName,
    #[serde(flatten)]
    pub(crate) set: &'s EndpointSet,
}

/// The endpoints of one service, for all who follow it. There is no queue: only the last set is kept.
#[derive(Debug)]
pub(crate) struct Broadcast {
    /// How often all who waited were woken.
    round: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    last: Arc<Told>,
    /// Those who wait in this round.
    waiting: Vec<Sleeper>,
    /// Places of those who went.
    free: Vec<usize>,
    over: bool,
}

/// One who waits.
#[derive(Debug)]
struct Sleeper {
    group: u64,
    /// None if it has gone.
    waker: Option<Waker>,
}

/// Those who are to be woken.
#[derive(Debug, Default)]
#[must_use = "they wait"]
pub(crate) struct Sleepers(Vec<Sleeper>);

/// One who follows.
#[derive(Debug)]
pub(crate) struct Follower {
    broadcast: Arc<Broadcast>,
    group: u64,
    /// The number of the last set that it knows.
    known: Option<u64>,
    /// Where it waits, in which round.
    waits: Option<(u64, usize)>,
    /// What it waits with.
    waker: Option<Waker>,
}

/// What a follower gets.
#[derive(Debug)]
pub(crate) struct News<T> {
    pub(crate) told: T,
    /// So many sets were there and gone again since the last one that this follower got.
    pub(crate) missed: u64,
}

impl Told {
    pub(crate) fn new(set: Arc<EndpointSet>, number: u64) -> Self {
        Self { set, number, ..Self::default() }
    }

    /// As a JSON document.
    pub(crate) fn json(&self) -> Bytes {
        // None of its parts can fail to be written.
        let make = || serde_json::to_vec(&*self.set).unwrap_or_default().into();
        self.json.get_or_init(make).clone()
    }

    /// As a server-sent event, whose id is the revision.
    pub(crate) fn event(&self) -> Bytes {
        let make = || {
            let json = self.json();
            let head = format!("id: {}\ndata: ", self.set.revision);
            // JSON without line ends: names, authorities and zones have none, and are escaped.
            [head.as_bytes(), &json, b"\n\n"].concat().into()
        };
        self.event.get_or_init(make).clone()
    }

    /// As a server-sent event that says which service it is about.
    pub(crate) fn named(&self, service: &ServiceName) -> Bytes {
        let make = || {
            let mut bytes = b"data: ".to_vec();
            let _ = serde_json::to_writer(&mut bytes, &ServiceEndpoints { service, set: &self.set });
            bytes.extend_from_slice(b"\n\n");
            bytes.into()
        };
        self.named.get_or_init(make).clone()
    }
}

impl Broadcast {
    pub(crate) fn new(set: Arc<EndpointSet>) -> Self {
        let last = Arc::new(Told::new(set, 0));
        let inner = Inner { last, waiting: Vec::new(), free: Vec::new(), over: false };
        Self { round: AtomicU64::new(0), inner: Mutex::new(inner) }
    }

    /// Puts a new set in the place of the last. Those who waited are for the caller to wake: that takes a moment for each,
    /// in which nobody else should have to wait.
    pub(crate) fn replace(&self, set: Arc<EndpointSet>) -> Sleepers {
        let mut inner = self.lock();
        let number = inner.last.number + 1;
        inner.last = Arc::new(Told::new(set, number));
        self.next_round(&mut inner)
    }

    /// There will be nothing more: who follows gets the last set, if it is new, and then the end.
    pub(crate) fn end(&self) -> Sleepers {
        let mut inner = self.lock();
        inner.over = true;
        self.next_round(&mut inner)
    }

    pub(crate) fn last(&self) -> Arc<Told> {
        self.lock().last.clone()
    }

    /// Follows from the set with the revision `known`; from any other, the last one is news. All of one `group` (a
    /// connection) are woken one after the other, so that what they send can go out together.
    pub(crate) fn follow(self: &Arc<Self>, known: Option<u64>, group: u64) -> Follower {
        let last = self.last();
        let known = known.filter(|known| *known == last.set.revision).map(|_| last.number);
        Follower { broadcast: self.clone(), group, known, waits: None, waker: None }
    }

    fn next_round(&self, inner: &mut Inner) -> Sleepers {
        self.round.fetch_add(1, Ordering::Release);
        inner.free.clear();
        // They mostly come again.
        let room = Vec::with_capacity(inner.waiting.len());
        Sleepers(std::mem::replace(&mut inner.waiting, room))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    /// What `form` makes of the last set, as soon as that is another than the known one; `None` when there is nothing more
    /// to come.
    pub(crate) fn poll_news<T>(
        &mut self,
        cx: &Context<'_>,
        form: impl FnOnce(&Arc<Told>) -> T,
    ) -> Poll<Option<News<T>>> {
        let same = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        let round = self.broadcast.round.load(Ordering::Acquire);
        if same && self.waits.is_some_and(|(waits, _)| waits == round) {
            return Poll::Pending;
        }
        if !same {
            self.waker = Some(cx.waker().clone());
        }
        let mut inner = self.broadcast.lock();
        let number = inner.last.number;
        let news = (self.known != Some(number)).then(|| News {
            told: form(&inner.last),
            missed: self.known.map_or(0, |known| number.saturating_sub(known + 1)),
        });
        self.known = Some(number);
        if inner.over {
            // Nobody is woken any more.
            return Poll::Ready(news);
        }
        // Also for one who has news: it asks for more at once, and then waits already.
        let round = self.broadcast.round.load(Ordering::Relaxed);
        let before = self.waits.filter(|(waits, _)| *waits == round).map(|(_, place)| place);
        let sleeper = Sleeper { group: self.group, waker: self.waker.clone() };
        self.waits = Some((round, inner.wait(before, sleeper)));
        news.map_or(Poll::Pending, |news| Poll::Ready(Some(news)))
    }
}

impl Inner {
    /// The place of one who waits, which it may have already.
    fn wait(&mut self, before: Option<usize>, sleeper: Sleeper) -> usize {
        let Some(place) = before.or_else(|| self.free.pop()) else {
            self.waiting.push(sleeper);
            return self.waiting.len() - 1;
        };
        if let Some(free) = self.waiting.get_mut(place) {
            *free = sleeper;
        }
        place
    }
}

impl Sleepers {
    /// Wakes them, group by group: how many they were.
    pub(crate) fn wake(mut self) -> u64 {
        // They come in that order when they wait again, so mostly nothing is moved.
        self.0.sort_by_key(|sleeper| sleeper.group);
        let wakers = self.0.into_iter().filter_map(|sleeper| sleeper.waker);
        wakers.map(Waker::wake).count() as u64
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let Some((waits, place)) = self.waits else { return };
        let mut inner = self.broadcast.lock();
        // In a later round somebody else is there.
        if waits == self.broadcast.round.load(Ordering::Relaxed)
            && let Some(waiting) = inner.waiting.get_mut(place)
        {
            waiting.waker = None;
            inner.free.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Woken {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn set(revision: u64) -> Arc<EndpointSet> {
        Arc::new(EndpointSet { revision, ..EndpointSet::default() })
    }

    fn publish(broadcast: &Broadcast, revision: u64) {
        broadcast.replace(set(revision)).wake();
    }

    /// The revision that it is told, and how many it missed.
    fn poll(follower: &mut Follower, woken: &Arc<Woken>) -> Poll<Option<(u64, u64)>> {
        let waker = Waker::from(woken.clone());
        let news = follower.poll_news(&Context::from_waker(&waker), |told| told.set.revision);
        news.map(|news| news.map(|news| (news.told, news.missed)))
    }

    #[test]
    fn a_follower_is_woken_once_for_each_change_and_told_the_last() {
        let broadcast = Arc::new(Broadcast::new(set(5)));
        let (mut follower, woken) = (broadcast.follow(None, 0), Arc::new(Woken::default()));
        assert_eq!(poll(&mut follower, &woken), Poll::Ready(Some((5, 0))));
        assert_eq!(poll(&mut follower, &woken), Poll::Pending);
        publish(&broadcast, 6);
        assert_eq!(woken.count(), 1);
        assert_eq!(poll(&mut follower, &woken), Poll::Ready(Some((6, 0))));
        // It need not ask again to be woken, and is not woken for what it has not asked for since.
        for revision in 7..10 {
            publish(&broadcast, revision);
        }
        assert_eq!(woken.count(), 2);
        assert_eq!(poll(&mut follower, &woken), Poll::Ready(Some((9, 2))));
        assert_eq!(poll(&mut follower, &woken), Poll::Pending);
    }

    #[test]
    fn another_task_may_go_on_with_a_follower() {
        let broadcast = Arc::new(Broadcast::new(set(5)));
        let (mut follower, first, second) =
            (broadcast.follow(Some(5), 0), Arc::new(Woken::default()), Arc::new(Woken::default()));
        assert_eq!(poll(&mut follower, &first), Poll::Pending);
        assert_eq!(poll(&mut follower, &second), Poll::Pending);
        publish(&broadcast, 6);
        assert_eq!((first.count(), second.count()), (0, 1));
    }

    #[test]
    fn who_goes_leaves_a_place_for_the_next() {
        let broadcast = Arc::new(Broadcast::new(set(5)));
        let woken = Arc::new(Woken::default());
        let wait = || {
            let mut follower = broadcast.follow(Some(5), 0);
            assert_eq!(poll(&mut follower, &woken), Poll::Pending);
            follower
        };
        let kept = wait();
        for _ in 0..1_000 {
            drop(wait());
        }
        assert!(broadcast.lock().waiting.len() <= 2);
        publish(&broadcast, 6);
        assert_eq!(woken.count(), 1);
        // Its place was in the last round.
        let next = wait_for(&broadcast, &woken);
        drop(kept);
        publish(&broadcast, 7);
        assert_eq!(woken.count(), 2);
        drop(next);
    }

    fn wait_for(broadcast: &Arc<Broadcast>, woken: &Arc<Woken>) -> Follower {
        let mut follower = broadcast.follow(Some(broadcast.last().set.revision), 0);
        assert_eq!(poll(&mut follower, woken), Poll::Pending);
        follower
    }

    #[test]
    fn those_of_a_group_are_woken_one_after_the_other() {
        struct Called(u64, Arc<Mutex<Vec<u64>>>);

        impl Wake for Called {
            fn wake(self: Arc<Self>) {
                self.1.lock().unwrap().push(self.0);
            }
        }

        let broadcast = Arc::new(Broadcast::new(set(5)));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let mut followers: Vec<_> =
            [2, 1, 2, 3, 1].map(|group| (group, broadcast.follow(Some(5), group))).into();
        for (group, follower) in &mut followers {
            let waker = Waker::from(Arc::new(Called(*group, calls.clone())));
            assert!(follower.poll_news(&Context::from_waker(&waker), |_| ()).is_pending());
        }
        publish(&broadcast, 6);
        assert_eq!(*calls.lock().unwrap(), [1, 1, 2, 2, 3]);
    }

    #[test]
    fn the_end_comes_after_the_last_set() {
        let broadcast = Arc::new(Broadcast::new(set(5)));
        let (mut follower, woken) = (broadcast.follow(Some(5), 0), Arc::new(Woken::default()));
        assert_eq!(poll(&mut follower, &woken), Poll::Pending);
        publish(&broadcast, 6);
        broadcast.end().wake();
        assert_eq!(poll(&mut follower, &woken), Poll::Ready(Some((6, 0))));
        assert_eq!(poll(&mut follower, &woken), Poll::Ready(None));
    }
}
