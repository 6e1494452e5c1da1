//! A history of a lock, and whether it can be true.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use trellis_config::kv::{NewSession, Put};

use crate::support::{Database, options};

/// What a client saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// It was told that it has the lock.
    Acquired { client: u64, token: u64 },
    /// It is about to give it up.
    Releasing { client: u64, token: u64 },
}

/// What all clients saw, in the order of one clock.
#[derive(Clone, Default)]
pub(crate) struct History(Arc<Mutex<Vec<Event>>>);

impl History {
    pub(crate) fn note(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    /// Panics if two held the lock at once, or a token came twice or out of order; how often it was held.
    pub(crate) fn check(&self) -> usize {
        let (mut holder, mut last, mut holds) = (None, 0, 0);
        for event in self.0.lock().unwrap().iter() {
            match *event {
                Event::Acquired { client, token } => {
                    assert_eq!(holder, None, "client {client} got what another one holds");
                    assert!(token > last, "the token {token} came after {last}");
                    (holder, last, holds) = (Some(client), token, holds + 1);
                }
                Event::Releasing { client, token } => {
                    assert_eq!((holder, last), (Some(client), token));
                    holder = None;
                }
            }
        }
        holds
    }
}

#[test]
#[should_panic(expected = "got what another one holds")]
fn a_history_that_cannot_be_true_is_found() {
    let history = History::default();
    history.note(Event::Acquired { client: 1, token: 1 });
    history.note(Event::Acquired { client: 2, token: 2 });
    history.check();
}

/// The time of a session is counted in memory, so a paused clock tells when it ends.
#[tokio::test(start_paused = true)]
async fn a_session_ends_when_nobody_renews_it_and_its_lock_is_free_after_the_delay() {
    // The clock does not run on by itself while a blocking task waits, as it would whenever the database is waited for.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let hold = tokio::task::spawn_blocking(move || held.recv());
    let db = Database::sqlite();
    let node = db.start_with(options()).await;
    let kv = &node.handle;
    let (ttl, lock_delay) = (Duration::from_secs(10), Duration::from_secs(15));
    let mortal = NewSession { ttl: Some(ttl), lock_delay, ..NewSession::of_node("n") };
    let id = kv.session_create(mortal).await.unwrap().id;
    let other = kv.session_create(NewSession::of_node("n")).await.unwrap().id;
    let acquire = |id| Put { acquire: Some(id), ..Put::default() };
    assert!(kv.kv_put("lock", acquire(id)).await.unwrap());
    let commits = node.store.commits();
    for _ in 0..10 {
        tokio::time::advance(ttl).await;
        assert!(kv.session_renew(id).await.unwrap().is_some());
    }
    assert_eq!(kv.kv_get("lock").value.unwrap().session, Some(id));
    assert_eq!(node.store.commits(), commits, "renewals do not touch the disk");
    tokio::time::advance(ttl).await;
    assert!(kv.session_info(id).value.is_some(), "not before its time to live");
    tokio::time::advance(ttl).await;
    crate::support::until_yielding("it has ended", || kv.session_info(id).value.is_none()).await;
    assert!(kv.kv_get("lock").value.unwrap().session.is_none());
    assert!(!kv.kv_put("lock", acquire(other)).await.unwrap(), "the lock delay runs");
    tokio::time::advance(lock_delay).await;
    assert!(kv.kv_put("lock", acquire(other)).await.unwrap());
    assert_eq!(kv.kv_get("lock").value.unwrap().lock_index, 2);
    drop(release);
    assert!(hold.await.unwrap().is_err());
    node.stop().await;
}
