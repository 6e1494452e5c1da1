//! A session whose time is over, and a client that renews it in that very moment.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use trellis_runtime::WallClock;
use trellis_storage::{Store, params};
use trellis_testkit::Database;

use crate::changes::Outcome;
use crate::engine::Engine;
use crate::error::Result;
use crate::handle::Handle;
use crate::kv::{NewSession, Session, SessionId, sessions};
use crate::options::Options;

const TTL: Duration = Duration::from_secs(10);

type Renewal = Pin<Box<dyn Future<Output = Result<Option<Session>>> + Send>>;

/// An engine of which nobody but the test ends sessions, with one whose time is over. The clock stands still.
struct Late {
    engine: Arc<Engine>,
    kv: Handle,
    id: SessionId,
    _awake: std::sync::mpsc::Sender<()>,
    _db: Database,
}

impl Late {
    async fn start() -> Self {
        // A paused clock does not run on by itself while a blocking task waits.
        let (awake, asleep) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || asleep.recv());
        let db = Database::sqlite().unwrap();
        let store = Store::open(trellis_storage::Options::url(db.url()).unwrap()).await.unwrap();
        let engine = Engine::open(Options::default(), store, WallClock::fixed(1_000), None).await.unwrap();
        let kv = Handle::new(engine.clone());
        let new = NewSession { ttl: Some(TTL), ..NewSession::of_node("n") };
        let id = kv.session_create(new).await.unwrap().id;
        tokio::time::advance(2 * TTL).await;
        Self { engine, kv, id, _awake: awake, _db: db }
    }

    /// Ends the session, and begins to renew it when that is decided and not written yet: what became of the end, whether
    /// the renewal was answered at once, and the renewal.
    async fn end_and_renew(&self) -> (Result<bool>, Poll<Result<Option<Session>>>, Renewal) {
        let (kv, id) = (self.kv.clone(), self.id);
        // It is decided right after the end, in the same write.
        let next = self.engine.change(move |_, _| {
            let mut renewal: Renewal = Box::pin(async move { kv.session_renew(id).await });
            let first = renewal.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            Ok(Outcome::unchanged((first, renewal)))
        });
        // Even if the write fails, what the renewal was told counts.
        let (ended, next) = tokio::join!(sessions::expire(&self.engine, self.id), next);
        match next {
            Ok(((first, renewal), _)) => (ended, first, renewal),
            Err(error) => (Err(error), Poll::Pending, Box::pin(std::future::pending())),
        }
    }

    fn is_there(&self) -> bool {
        self.kv.session_info(self.id).value.is_some()
    }

    async fn sql(&self, sql: &'static str) {
        self.engine.store.execute(sql, params![]).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_comes_after_the_decision_is_not_acknowledged() {
    let late = Late::start().await;
    let (ended, at_once, renewal) = late.end_and_renew().await;
    assert!(ended.unwrap() && !late.is_there());
    assert!(at_once.is_pending(), "what it is told has to wait for the write: {at_once:?}");
    assert_eq!(renewal.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_comes_before_the_decision_counts() {
    let late = Late::start().await;
    let (renewed, ended) =
        tokio::join!(sessions::adopt(&late.engine, late.id), sessions::expire(&late.engine, late.id));
    assert!(renewed.unwrap().is_some() && !ended.unwrap() && late.is_there());
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_end_was_not_written_is_renewed_and_ends_later() {
    let late = Late::start().await;
    late.sql("CREATE TRIGGER full BEFORE INSERT ON config_journal BEGIN SELECT RAISE(ABORT, 'no room'); END")
        .await;
    let (ended, ..) = late.end_and_renew().await;
    assert!(ended.is_err() && late.is_there());
    assert!(sessions::expire(&late.engine, late.id).await.is_err(), "it is tried again");
    assert!(late.kv.session_renew(late.id).await.unwrap().is_some());
    late.sql("DROP TRIGGER full").await;
    assert!(!sessions::expire(&late.engine, late.id).await.unwrap(), "it has its whole time again");
    tokio::time::advance(TTL).await;
    let commits = late.engine.store.commits();
    assert!(late.kv.session_renew(late.id).await.unwrap().is_some());
    assert_eq!(late.engine.store.commits(), commits, "in memory, as ever");
    tokio::time::advance(2 * TTL).await;
    assert!(sessions::expire(&late.engine, late.id).await.unwrap() && !late.is_there());
}
