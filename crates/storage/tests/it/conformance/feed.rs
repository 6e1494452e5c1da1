use std::io::{BufRead, BufReader};

use futures_util::future::join_all;
use trellis_storage::{Change, Dialect, Error, Feed, FeedBatch, FeedOptions, Options, Store, params};

use crate::child;
use crate::support::{Database, LIMIT, ids, work};

/// Inserts a row and announces it.
pub(crate) async fn change(store: &Store, id: i64) -> Result<u64, Error> {
    store
        .write_ordered(work(move |tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO t (id, n) VALUES ($1, 0)", params![id]).await?;
                tx.announce("t", id.to_string()).await
            })
        }))
        .await
}

/// The next batch, which is no resync.
pub(crate) async fn changes(feed: &mut Feed) -> Vec<Change> {
    match next(feed).await {
        FeedBatch::Changes { revision, changes } => {
            assert_eq!(changes.last().map(|last| last.revision), Some(revision));
            changes
        }
        FeedBatch::Resync { revision } => panic!("resync at {revision}"),
    }
}

pub(crate) async fn next(feed: &mut Feed) -> FeedBatch {
    tokio::time::timeout(LIMIT, feed.next()).await.expect("a batch comes").unwrap()
}

/// Reads up to this revision.
pub(crate) async fn up_to(feed: &mut Feed, revision: u64) -> Vec<(u64, String)> {
    let mut seen = Vec::new();
    while feed.revision() < revision {
        seen.extend(changes(feed).await.into_iter().map(|change| (change.revision, change.key.to_string())));
    }
    seen
}

async fn with_feed(db: &Database, feed: FeedOptions) -> Store {
    db.store_with_table().await.close().await;
    Store::open(Options { feed, ..db.options() }).await.unwrap()
}

pub(super) async fn changes_come_in_their_order(db: Database) {
    let store = db.store_with_table().await;
    let mut feed = store.feed(0).await.unwrap();
    assert_eq!(store.head().await.unwrap(), 0);
    let done = join_all((0..200).map(|id| change(&store, id))).await;
    let mut revisions: Vec<u64> = done.into_iter().map(Result::unwrap).collect();
    let seen = up_to(&mut feed, 200).await;
    assert_eq!(seen.iter().map(|(revision, _)| *revision).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    for (revision, key) in &seen {
        assert_eq!(
            revisions[key.parse::<usize>().unwrap()],
            *revision,
            "the revision that the writer was told"
        );
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=200).collect::<Vec<_>>());
    assert_eq!((store.head().await.unwrap(), store.revision()), (200, 200));
    assert_eq!(up_to(&mut store.feed(150).await.unwrap(), 200).await, seen[150..]);
}

pub(super) async fn an_announcement_is_a_part_of_its_transaction(db: Database) {
    let store = db.store_with_table().await;
    let mut feed = store.feed(0).await.unwrap();
    let failing = |id: i64| {
        store.write_ordered(work(move |tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO t (id, n) VALUES ($1, 0)", params![id]).await?;
                tx.announce("t", "never").await?;
                match id % 2 {
                    0 => Err::<u64, _>(Error::Invalid("changed my mind".to_owned())),
                    _ => tx.execute("INSERT INTO t (id, n) VALUES ($1, 0)", params![id]).await,
                }
            })
        }))
    };
    let good = join_all((0..40).map(|id| change(&store, id)));
    let bad = join_all((100..140).map(failing));
    let (good, bad) = tokio::join!(good, bad);
    assert!(good.iter().all(Result::is_ok), "{good:?}");
    assert!(bad.iter().all(Result::is_err), "{bad:?}");
    let seen = up_to(&mut feed, 40).await;
    assert!(seen.iter().all(|(_, key)| key != "never"), "{seen:?}");
    assert_eq!(ids(&store).await, (0..40).collect::<Vec<_>>());
    assert_eq!(store.head().await.unwrap(), 40, "what is taken back leaves no gap");
}

pub(super) async fn a_write_may_announce_several(db: Database) {
    let store = with_feed(&db, FeedOptions { max_announced: 3, ..FeedOptions::default() }).await;
    let several = |n: u64| {
        store.write_ordered(work(move |tx| {
            Box::pin(async move {
                let mut last = 0;
                for key in 0..n {
                    last = tx.announce("t", key.to_string()).await?;
                }
                Ok(last)
            })
        }))
    };
    assert_eq!(several(3).await, Ok(3));
    assert!(matches!(several(4).await, Err(Error::Invalid(_))));
    assert_eq!(several(0).await, Ok(0));
    assert_eq!(several(2).await, Ok(5));
    let seen = up_to(&mut store.feed(0).await.unwrap(), 5).await;
    assert_eq!(seen.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>(), ["0", "1", "2", "0", "1"]);
}

pub(super) async fn a_plain_write_may_not_announce(db: Database) {
    let store = db.store_with_table().await;
    let plain = store.write(work(|tx| Box::pin(async move { tx.announce("t", "1").await })));
    let error = plain.await.unwrap_err().to_string();
    assert!(error.contains("use `write_ordered`"), "{error}");
    assert_eq!(store.head().await.unwrap(), 0);
}

pub(super) async fn revisions_survive_a_restart(db: Database) {
    let store = db.store_with_table().await;
    assert_eq!(change(&store, 1).await, Ok(1));
    store.close().await;
    let store = db.store().await;
    assert_eq!(store.head().await.unwrap(), 1);
    let mut feed = store.feed(0).await.unwrap();
    assert_eq!(change(&store, 2).await, Ok(2));
    assert_eq!(up_to(&mut feed, 2).await, [(1, "1".to_owned()), (2, "2".to_owned())]);
}

pub(super) async fn who_falls_behind_reads_from_the_table(db: Database) {
    let store = with_feed(&db, FeedOptions { recent: 4, max_batch: 7, ..FeedOptions::default() }).await;
    let mut feed = store.feed(0).await.unwrap();
    for id in 1..=30 {
        change(&store, id).await.unwrap();
    }
    let seen = up_to(&mut feed, 30).await;
    assert_eq!(seen.iter().map(|(revision, _)| *revision).collect::<Vec<_>>(), (1..=30).collect::<Vec<_>>());
    let state = store.feed_state();
    assert!(state.connected && state.lagged >= 1 && state.resyncs == 0, "{state:?}");
}

pub(super) async fn who_falls_behind_the_table_begins_anew(db: Database) {
    let few = FeedOptions { recent: 4, kept_rows: 8, ..FeedOptions::default() };
    let store = with_feed(&db, few).await;
    let mut feed = store.feed(0).await.unwrap();
    let mut near = store.feed(0).await.unwrap();
    for id in 1..=40 {
        change(&store, id).await.unwrap();
        up_to(&mut near, id as u64).await;
    }
    let rows: i64 = store.fetch_one("SELECT COUNT(*) FROM trellis_feed", params![]).await.unwrap();
    assert!((8..=9).contains(&rows), "{rows} rows are kept");
    assert_eq!(next(&mut feed).await, FeedBatch::Resync { revision: 40 });
    assert_eq!(store.feed_state().resyncs, 1);
    change(&store, 41).await.unwrap();
    assert_eq!(up_to(&mut feed, 41).await, [(41, "41".to_owned())], "and goes on from there");
    assert_eq!(up_to(&mut store.feed(33).await.unwrap(), 41).await.len(), 8);
    // A place that the database has never been at.
    assert_eq!(next(&mut store.feed(1000).await.unwrap()).await, FeedBatch::Resync { revision: 41 });
}

pub(super) async fn no_acknowledged_announcement_is_lost_by_kill_9(db: Database) {
    let store = db.store_with_table().await;
    store.head().await.unwrap();
    store.close().await;
    let mut acknowledged: Vec<(u64, i64)> = Vec::new();
    for round in 0..3 {
        let mut child = child::announcer(&db.options().url, round * 1_000_000);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Each round at another moment.
        let enough = 37 + 50 * round as usize;
        acknowledged.extend(lines.by_ref().filter_map(|line| child::announced(&line)).take(enough));
        child.kill().unwrap();
        // What it printed before it died.
        acknowledged.extend(lines.filter_map(|line| child::announced(&line)));
        assert!(!child.wait().unwrap().success());
    }
    assert!(acknowledged.len() >= 200, "the child announces at all: {}", acknowledged.len());
    let store = db.store().await;
    let head = store.head().await.unwrap();
    let seen = up_to(&mut store.feed(0).await.unwrap(), head).await;
    assert_eq!(
        seen.iter().map(|(revision, _)| *revision).collect::<Vec<_>>(),
        (1..=head).collect::<Vec<_>>()
    );
    for (revision, id) in acknowledged {
        assert_eq!(seen[revision as usize - 1], (revision, id.to_string()), "acknowledged and lost");
    }
    let mut announced: Vec<i64> = seen.iter().map(|(_, key)| key.parse().unwrap()).collect();
    announced.sort_unstable();
    assert_eq!(announced, ids(&store).await, "a row is there exactly if it was announced");
}

pub(super) async fn ordered_writes_share_commits(db: Database) {
    let store = db.store_with_table().await;
    store.head().await.unwrap();
    let before = store.commits();
    let done = join_all((0..300).map(|id| change(&store, id))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let commits = store.commits() - before;
    assert!((1..=100).contains(&commits), "300 writes at once took {commits} commits");
}

pub(super) async fn ordered_writes_may_rely_on_what_they_read(db: Database) {
    let stores = [db.store_with_table().await, db.store().await];
    change(&stores[0], 1).await.unwrap();
    let add = |store: &Store| {
        let store = store.clone();
        async move {
            store
                .write_ordered(work(|tx| {
                    Box::pin(async move {
                        let n: i64 = tx.fetch_one("SELECT n FROM t WHERE id = 1", params![]).await?;
                        tx.execute("UPDATE t SET n = $1 WHERE id = 1", params![n + 1]).await
                    })
                }))
                .await
        }
    };
    let done = join_all((0..100).map(|n| add(&stores[n % 2]))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let n: i64 = stores[0].fetch_one("SELECT n FROM t WHERE id = 1", params![]).await.unwrap();
    assert_eq!(n, 100);
}

pub(super) async fn a_lost_commit_is_said_to_be_unknown(db: Database) {
    let store = db.store_with_table().await;
    assert_eq!(change(&store, 1).await, Ok(1));
    break_commits(&store).await;
    let error = change(&store, 2).await.unwrap_err();
    assert!(error.outcome_unknown(), "{error}");
    let error = trellis_core::Error::from(error);
    assert_eq!(error.retry_advice(), trellis_core::Retry::No);
    mend_commits(&store).await;
    assert_eq!(change(&store, 3).await, Ok(2), "the writer goes on, and nothing is left of it");
    assert_eq!(ids(&store).await, [1, 3]);
}

/// Until mended, a commit after an insert into `t` ends the connection, or fails.
async fn break_commits(store: &Store) {
    let scripts: &[&'static str] = match store.dialect() {
        Dialect::Sqlite => &[
            "CREATE TABLE parent (id BIGINT PRIMARY KEY)",
            "CREATE TABLE child (parent BIGINT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER breaks AFTER INSERT ON t BEGIN INSERT INTO child VALUES (9); END",
        ],
        Dialect::Postgres => &[
            "CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'",
            "CREATE CONSTRAINT TRIGGER breaks AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION breaks()",
        ],
    };
    for script in scripts {
        store.execute(script, params![]).await.unwrap();
    }
}

async fn mend_commits(store: &Store) {
    let sql = match store.dialect() {
        Dialect::Sqlite => "DROP TRIGGER breaks",
        Dialect::Postgres => "DROP TRIGGER breaks ON t",
    };
    store.execute(sql, params![]).await.unwrap();
}

pub(super) async fn old_changes_go(db: Database) {
    let brief = FeedOptions { kept_for: std::time::Duration::ZERO, ..FeedOptions::default() };
    let store = with_feed(&db, brief).await;
    for id in 1..=20 {
        change(&store, id).await.unwrap();
    }
    crate::support::until("what is older than now is gone", || async {
        let id = store.head().await.unwrap().cast_signed() + 1;
        change(&store, id).await.unwrap();
        let rows: i64 = store.fetch_one("SELECT COUNT(*) FROM trellis_feed", params![]).await.unwrap();
        rows <= 5
    })
    .await;
}

pub(super) async fn a_feed_ends_with_its_store(db: Database) {
    let store = db.store_with_table().await;
    let mut feed = store.feed(0).await.unwrap();
    let (ended, ()) = tokio::join!(biased; feed.next(), store.close());
    assert!(matches!(&ended, Err(Error::Unavailable(text)) if text.contains("closed")), "{ended:?}");
    assert!(feed.next().await.is_err());
    assert!(store.feed(0).await.is_err() || store.head().await.is_err());
}
