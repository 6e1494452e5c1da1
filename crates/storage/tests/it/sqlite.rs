//! What only SQLite has: a file that processes share, kill -9 at any moment, and commits that many writes share.

use std::io::{BufRead, BufReader};
use std::path::Path;

use futures_util::future::join_all;
use trellis_runtime::Shutdown;
use trellis_storage::members::Members;
use trellis_storage::{Error, Options, Store, params};

use crate::child;
use crate::conformance::feed::change;
use crate::support::{Database, ids, insert, work};

async fn open(path: &Path) -> String {
    match Store::open(Options::sqlite(path)).await {
        Err(Error::Unavailable(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("{} was opened", path.display()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = Store::open(Options::sqlite(&path)).await.unwrap();
    store.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)", params![]).await.unwrap();
    store.close().await;
    let mut acknowledged: Vec<i64> = Vec::new();
    for round in 0..4 {
        let mut child = child::writer(&path, round * 1_000_000, 1_000_000);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Each round at another moment.
        let enough = 37 + 50 * round as usize;
        acknowledged.extend(lines.by_ref().filter_map(|line| child::acknowledged(&line)).take(enough));
        child.kill().unwrap();
        // What it printed before it died.
        acknowledged.extend(lines.filter_map(|line| child::acknowledged(&line)));
        assert!(!child.wait().unwrap().success());
    }
    assert!(acknowledged.len() >= 400, "the child writes at all: {}", acknowledged.len());
    let store = Store::open(Options::sqlite(&path)).await.unwrap();
    let there = ids(&store).await;
    let lost: Vec<_> = acknowledged.iter().filter(|id| there.binary_search(id).is_err()).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let sound: String = store.fetch_one("PRAGMA integrity_check", params![]).await.unwrap();
    assert_eq!(sound, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let store = Store::open(Options::sqlite(&path)).await.unwrap();
    store.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)", params![]).await.unwrap();
    let mut other = child::writer(&path, 1_000_000, 500);
    let mut own = 0;
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines().map_while(Result::ok);
    // Writes of ours between the writes of the other, as long as it has some.
    while let Some(id) = lines.by_ref().find_map(|line| child::acknowledged(&line)) {
        insert(&store, own).await.unwrap();
        own += 1;
        let seen: Option<i64> =
            store.fetch_optional("SELECT id FROM t WHERE id = $1", params![id]).await.unwrap();
        assert_eq!(seen, Some(id), "what the other process was told is kept is seen here");
    }
    assert!(other.wait().unwrap().success());
    assert_eq!((own, ids(&store).await.len()), (500, 1000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writes_share_a_commit() {
    let db = Database::sqlite();
    let store = db.store_with_table().await;
    let before = store.commits();
    let done = join_all((0..500).map(|id| insert(&store, id))).await;
    assert!(done.iter().all(Result::is_ok));
    let commits = store.commits() - before;
    assert!((1..=50).contains(&commits), "500 writes at once took {commits} commits");
    for id in 500..510 {
        insert(&store, id).await.unwrap();
    }
    assert_eq!(store.commits() - before - commits, 10, "writes one after the other cannot share");
}

#[tokio::test]
async fn a_batch_is_bounded() {
    let db = Database::sqlite();
    db.store_with_table().await.close().await;
    let store = Store::open(Options { max_batch: 5, ..db.options() }).await.unwrap();
    join_all((0..50).map(|id| insert(&store, id))).await;
    assert!(store.commits() >= 10, "{} commits", store.commits());
}

#[tokio::test]
async fn it_is_set_up_to_keep_what_it_acknowledges() {
    let db = Database::sqlite();
    let store = db.store_with_table().await;
    let (synchronous, keys): (i64, i64) = store
        .write(work(|tx| {
            Box::pin(async move {
                let synchronous = tx.fetch_one("PRAGMA synchronous", params![]).await?;
                Ok((synchronous, tx.fetch_one("PRAGMA foreign_keys", params![]).await?))
            })
        }))
        .await
        .unwrap();
    let mode: String = store.fetch_one("PRAGMA journal_mode", params![]).await.unwrap();
    assert_eq!((synchronous, keys, mode.as_str()), (2, 1, "wal"), "2 is FULL");
}

/// Timers of a paused clock fire as soon as everything waits; none must be in the way of a store.
#[tokio::test(start_paused = true)]
async fn a_paused_clock_does_not_disturb() {
    let db = Database::sqlite();
    let store = db.store_with_table().await;
    let start = tokio::time::Instant::now();
    join_all((0..20).map(|id| insert(&store, id))).await;
    assert_eq!(ids(&store).await.len(), 20);
    store.ping().await.unwrap();
    let mut feed = store.feed(0).await.unwrap();
    let (batch, revision) = tokio::join!(biased; feed.next(), change(&store, 20));
    assert_eq!(batch.unwrap().revision(), revision.unwrap());
    let (members, handle) =
        Members::join(&store, trellis_storage::members::Options::new("one", "")).await.unwrap();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(members.run(shutdown.clone()));
    change(&store, 21).await.unwrap();
    assert!(handle.is_mine("a"));
    shutdown.trigger();
    running.await.unwrap();
    store.close().await;
    assert_eq!(tokio::time::Instant::now(), start, "no timer ran");
}

#[tokio::test]
async fn places_that_cannot_be_used_are_named_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let error = open(folder.path()).await;
    assert!(error.contains("is a folder; give the path of a file"), "{error}");
    let error = open(&at("missing/test.db")).await;
    assert!(error.contains("missing") && error.contains("make it"), "{error}");
    std::fs::write(at("text"), "this is text, and no database, ".repeat(100)).unwrap();
    let error = open(&at("text")).await;
    assert!(error.contains("is not a SQLite database; move the file away"), "{error}");
    assert_eq!(std::fs::read_to_string(at("text")).unwrap().len(), 3100, "it is left as it was");
    let error = open(&at("text/test.db")).await;
    assert!(error.contains("text"), "{error}");
    // A folder in which nobody may make a file, root included.
    let error = open(Path::new("/proc/trellis.db")).await;
    assert!(error.contains("may read and write the file and its folder"), "{error}");
}

#[tokio::test]
async fn an_exclusive_lock_elsewhere_is_named() {
    let db = Database::sqlite();
    let holder = db.store_with_table().await;
    let options = Options { busy_timeout: std::time::Duration::from_millis(50), ..db.options() };
    let other = Store::open(options.clone()).await.unwrap();
    holder
        .write(work(move |tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO t (id, n) VALUES (1, 0)", params![]).await?;
                // The writer of the other store waits for this transaction, and gives up.
                let error = insert(&other, 2).await.unwrap_err();
                assert!(matches!(error, Error::Busy(_)), "{error}");
                let error = trellis_core::Error::from(error);
                assert_eq!(error.code().id, "TRL4005");
                Ok(())
            })
        }))
        .await
        .unwrap();
    assert_eq!(ids(&holder).await, [1]);
}

/// SQLite gives up the whole transaction when the disk is full, so all writes of the group are gone, whichever of them it
/// was that found no room.
#[tokio::test]
async fn a_full_disk_is_answered_to_all_that_shared_the_commit() {
    const WRITES: i64 = 5;
    for large in 0..WRITES {
        let db = Database::sqlite();
        let store = db.store_with_table().await;
        insert(&store, 100).await.unwrap();
        // The limit of the connection that writes; SQLite never lowers it below what is there.
        let limited: i64 = store
            .write(work(|tx| Box::pin(tx.fetch_one("PRAGMA max_page_count = 1", params![]))))
            .await
            .unwrap();
        assert!(limited > 1);
        let (begun, first) = tokio::sync::oneshot::channel::<()>();
        let (release, held) = tokio::sync::oneshot::channel::<()>();
        let holds = store.write(work(|tx| {
            Box::pin(async move {
                begun.send(()).unwrap();
                held.await.unwrap();
                tx.execute("INSERT INTO t (id, n) VALUES (99, 0)", params![]).await
            })
        }));
        let others = async {
            first.await.unwrap();
            let writes = (0..WRITES).map(|id| {
                let note = "x".repeat(if id == large { 100_000 } else { 1 });
                store.execute("INSERT INTO t (id, n, note) VALUES ($1, 0, $2)", params![id, note])
            });
            // Polled in order, so all of them wait in the queue when the first one goes on.
            let release = async { release.send(()).unwrap() };
            tokio::join!(biased; join_all(writes), release).0
        };
        let (holder, others) = tokio::join!(holds, others);
        let answers: Vec<(i64, Result<u64, Error>)> =
            std::iter::once((99, holder)).chain((0..WRITES).zip(others)).collect();
        let mut acknowledged: Vec<i64> = vec![100];
        for (id, answer) in answers {
            match answer {
                Ok(rows) => {
                    assert_eq!(rows, 1);
                    acknowledged.push(id);
                }
                Err(error) => {
                    assert!(matches!(&error, Error::Unavailable(text) if text.contains("full")), "{error:?}");
                    assert_eq!(trellis_core::Error::from(error).code().id, "TRL4001");
                    assert!(id == 99 || id <= large, "{id} came after the one that found no room");
                }
            }
        }
        acknowledged.sort_unstable();
        assert_eq!(ids(&store).await, acknowledged, "what was acknowledged is there, and nothing else");
        assert!(!acknowledged.contains(&99) && !acknowledged.contains(&large));
        // The writer goes on with a transaction of its own.
        insert(&store, 101).await.unwrap();
    }
}
