//! A node that is cut off from PostgreSQL, without a sign that it is.

use std::time::{Duration, Instant};

use trellis_config::Error;
use trellis_config::kv::{NewSession, Put, SessionId};
use trellis_testkit::{Link, wait_until};

use crate::support::{Database, LEASE, LIMIT, Node, options, until};

const TTL: Duration = Duration::from_secs(10);

/// A node behind a link, and one that is always connected.
struct Pair {
    link: Link,
    far: Node,
    near: Node,
    _db: Database,
}

impl Pair {
    async fn start() -> Self {
        let db = Database::postgres();
        let near = db.start().await;
        let (link, url) = Link::around(&db.options.url).unwrap();
        let database = trellis_storage::Options {
            url,
            max_work: Duration::from_secs(2),
            acquire_timeout: Duration::from_millis(500),
            ..db.options.clone()
        };
        let far = Node::start(database, options()).await;
        Self { link, far, near, _db: db }
    }

    /// A session whose time the far node counts, with the lock `lock`.
    async fn locked(&self) -> SessionId {
        let new = NewSession { ttl: Some(TTL), lock_delay: Duration::ZERO, ..NewSession::of_node("n") };
        let kv = &self.far.handle;
        let id = kv.session_create(new).await.unwrap().id;
        assert!(kv.kv_put("lock", Put { acquire: Some(id), ..Put::default() }).await.unwrap());
        assert_eq!(kv.sessions_counted(), 1);
        id
    }

    async fn stop(self) {
        self.far.stop().await;
        self.near.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_renews_no_session_that_another_one_counts() {
    let pair = Pair::start().await;
    let (far, near) = (&pair.far.handle, &pair.near.handle);
    let id = pair.locked().await;
    pair.link.silence();
    until("the other node counts its time", || near.sessions_counted() == 1).await;
    let refused = far.session_renew(id).await.unwrap_err();
    assert!(matches!(refused, Error::Store(_)), "{refused:?}");
    assert_eq!(trellis_core::Error::from(refused).code().id, "TRL4001");
    // What it knows it still tells.
    assert_eq!(far.kv_get("lock").value.unwrap().session, Some(id));
    pair.link.heal();
    let renewed = || async { matches!(far.session_renew(id).await, Ok(Some(_))) };
    wait_until("it is renewed again", LIMIT, renewed).await.unwrap();
    // Whoever says so counts its time: the other one has given it up before.
    near.sync().await.unwrap();
    assert_eq!((far.sessions_counted(), near.sessions_counted()), (1, 0));
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_tells_of_no_session_that_another_one_may_have_ended() {
    let pair = Pair::start().await;
    let (far, near) = (&pair.far.handle, &pair.near.handle);
    // Without a time to live: it ends with its node, when another node sees that this is gone.
    let id = far.session_create(NewSession::of_node("n")).await.unwrap().id;
    assert!(far.session_renew(id).await.unwrap().is_some());
    near.sync().await.unwrap();
    assert!(near.session_renew(id).await.unwrap().is_some(), "any node may be asked");
    pair.link.silence();
    near.session_destroy(id).await.unwrap();
    let refuses = || async { matches!(far.session_renew(id).await, Err(Error::Store(_))) };
    wait_until("it does not know any more", LIMIT, refuses).await.unwrap();
    pair.link.heal();
    let knows = || async { matches!(far.session_renew(id).await, Ok(None)) };
    wait_until("it knows that it has ended", LIMIT, knows).await.unwrap();
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_nobody_could_renew_has_its_whole_time_again() {
    let server = trellis_testkit::Postgres::start().unwrap();
    let database = trellis_storage::Options {
        acquire_timeout: Duration::from_millis(500),
        ..trellis_storage::Options::url(&server.fresh_database().unwrap()).unwrap()
    };
    let node = Node::start(database, options()).await;
    let kv = &node.handle;
    let new = NewSession { ttl: Some(TTL), ..NewSession::of_node("n") };
    let id = kv.session_create(new).await.unwrap().id;
    server.stop();
    // Longer than a session lasts that nobody renews.
    let (began, mut last) = (Instant::now(), None);
    while began.elapsed() < TTL * 2 {
        match kv.session_renew(id).await {
            // Its place among the members is not over yet.
            Ok(Some(_)) => assert!(began.elapsed() < LEASE * 2),
            Ok(None) => panic!("it was ended without the database"),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(trellis_core::Error::from(last.unwrap()).code().id, "TRL4001");
    server.start_again().unwrap();
    let back = || async { kv.kv_put("k", Put::default()).await.is_ok() };
    wait_until("it writes again", LIMIT, back).await.unwrap();
    // Nobody renews it at once, and it is not ended for that.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert!(kv.session_info(id).value.is_some());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(kv.session_renew(id).await.unwrap().is_some());
    node.stop().await;
}
