use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, oneshot};
use trellis_storage::{Error, Options, Store, params};

use crate::support::{Database, LIMIT, ids, insert, until, work};

async fn counter(store: &Store) -> i64 {
    store.fetch_one("SELECT n FROM t WHERE id = 1", params![]).await.unwrap()
}

pub(super) async fn no_increment_is_lost(db: Database) {
    let store = db.store_with_table().await;
    insert(&store, 1).await.unwrap();
    let sql = "UPDATE t SET n = n + 1 WHERE id = $1";
    let done = join_all((0..300).map(|_| store.execute(sql, params![1_i64]))).await;
    assert!(done.iter().all(|changed| *changed == Ok(1)), "{done:?}");
    assert_eq!(counter(&store).await, 300);
}

pub(super) async fn a_lock_guards_what_was_read(db: Database) {
    let store = db.store_with_table().await;
    insert(&store, 1).await.unwrap();
    let add = || {
        store.write(work(|tx| {
            Box::pin(async move {
                tx.lock("counter").await?;
                let n: i64 = tx.fetch_one("SELECT n FROM t WHERE id = 1", params![]).await?;
                tx.execute("UPDATE t SET n = $1 WHERE id = 1", params![n + 1]).await
            })
        }))
    };
    let done = join_all((0..100).map(|_| add())).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(counter(&store).await, 100);
}

pub(super) async fn acknowledged_writes_are_seen_at_once(db: Database) {
    let store = db.store_with_table().await;
    let writers = (0..8_i64).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for id in (0..40).map(|n| writer * 1000 + n) {
                insert(&store, id).await.unwrap();
                let found: Option<i64> =
                    store.fetch_optional("SELECT id FROM t WHERE id = $1", params![id]).await.unwrap();
                assert_eq!(found, Some(id), "acknowledged, so it is seen");
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(ids(&store).await.len(), 320);
}

pub(super) async fn a_full_queue_is_busy(db: Database) {
    db.store_with_table().await.close().await;
    let limit = 8;
    let store = Store::open(Options { max_waiting_writes: limit, ..db.options() }).await.unwrap();
    let (begun, started) = oneshot::channel();
    let (go, gone) = oneshot::channel::<()>();
    let blocker = store.clone();
    let blocked = tokio::spawn(async move {
        blocker
            .write(work(move |tx| {
                Box::pin(async move {
                    // Holds PostgreSQL's other connections as well, which all want this table.
                    tx.execute("INSERT INTO t (id, n) VALUES (-1, 0)", params![]).await?;
                    begun.send(()).unwrap();
                    gone.await.unwrap();
                    Ok(())
                })
            }))
            .await
    });
    started.await.unwrap();
    // All have the same key as the row that is not committed yet, so none can go on before it is.
    let insert =
        || store.execute("INSERT INTO t (id, n) VALUES (-1, 0) ON CONFLICT (id) DO NOTHING", params![]);
    let waiting: Vec<_> = (0..2 * limit).map(|_| Box::pin(insert())).collect();
    let (refused, accepted) = (Semaphore::new(0), Semaphore::new(0));
    let all = join_all(waiting.into_iter().map(|write| async {
        match write.await {
            Err(Error::Busy(text)) => {
                assert!(text.contains("8 writes are waiting"), "{text}");
                refused.add_permits(1);
            }
            done => {
                assert_eq!(done, Ok(0));
                accepted.add_permits(1);
            }
        }
    }));
    let release = async {
        // Room for the limit and at most one more, which the writer has taken out of the queue.
        drop(refused.acquire_many(limit as u32 - 1).await.unwrap());
        assert_eq!(accepted.available_permits(), 0);
        go.send(()).unwrap();
    };
    tokio::time::timeout(LIMIT, async { tokio::join!(all, release) }).await.expect("nothing hangs");
    blocked.await.unwrap().unwrap();
    let accepted = accepted.available_permits();
    assert!((limit - 1..=limit + 1).contains(&accepted), "{accepted} were accepted");
    assert_eq!(ids(&store).await, [-1]);
}

pub(super) async fn stuck_work_is_given_up(db: Database) {
    db.store_with_table().await.close().await;
    let store = Store::open(Options { max_work: Duration::from_millis(200), ..db.options() }).await.unwrap();
    let stuck = store.clone();
    let stuck = tokio::spawn(async move {
        stuck
            .write(work(|tx| {
                Box::pin(async move {
                    tx.execute("INSERT INTO t (id, n) VALUES (1, 0)", params![]).await?;
                    std::future::pending().await
                })
            }))
            .await as Result<(), Error>
    });
    let mut next = 1;
    let mut others = Vec::new();
    until("the stuck write is given up", || {
        let store = store.clone();
        next += 1;
        others.push(tokio::spawn(async move { insert(&store, next).await }));
        let ended = stuck.is_finished();
        async move { ended }
    })
    .await;
    let error = stuck.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("given up after 200ms"), "{error}");
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert!(!ids(&store).await.contains(&1));
}

pub(super) async fn more_readers_than_connections_take_turns(db: Database) {
    db.store_with_table().await.close().await;
    let store = Store::open(Options { max_readers: 2, ..db.options() }).await.unwrap();
    insert(&store, 1).await.unwrap();
    let reads = join_all((0..100).map(|_| ids(&store))).await;
    assert!(reads.iter().all(|found| *found == [1]));
}
