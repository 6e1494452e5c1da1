use futures_util::future::join_all;
use tokio::sync::oneshot;
use trellis_storage::{Error, params};

use crate::support::{Database, ids, insert, work};

pub(super) async fn everything_is_there_after_reopening(db: Database) {
    let store = db.store_with_table().await;
    for id in 1..=3 {
        insert(&store, id).await.unwrap();
    }
    store.close().await;
    let store = db.store().await;
    assert_eq!(ids(&store).await, [1, 2, 3]);
    drop(store);
    // Without closing, too.
    let store = db.store().await;
    insert(&store, 4).await.unwrap();
    drop(store);
    assert_eq!(ids(&db.store().await).await, [1, 2, 3, 4]);
}

pub(super) async fn two_stores_share_one_database(db: Database) {
    let one = db.store_with_table().await;
    let two = db.store().await;
    insert(&one, 1).await.unwrap();
    assert_eq!(ids(&two).await, [1]);
    insert(&two, 2).await.unwrap();
    assert_eq!(ids(&one).await, [1, 2]);
    let sql = "UPDATE t SET n = n + 1 WHERE id = 1";
    let done = join_all((0..200).map(|n| if n % 2 == 0 { &one } else { &two }.execute(sql, params![]))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let n: i64 = two.fetch_one("SELECT n FROM t WHERE id = 1", params![]).await.unwrap();
    assert_eq!(n, 200);
}

pub(super) async fn a_closed_store_refuses(db: Database) {
    let store = db.store_with_table().await;
    ids(&store).await;
    store.close().await;
    store.close().await;
    for refused in [
        insert(&store, 1).await.map(|_| ()),
        store.fetch_all::<i64>("SELECT id FROM t", params![]).await.map(|_| ()),
        store.ping().await,
    ] {
        assert!(matches!(&refused, Err(Error::Unavailable(text)) if text.contains("closed")), "{refused:?}");
    }
}

pub(super) async fn closing_waits_for_what_was_accepted(db: Database) {
    let store = db.store_with_table().await;
    let (begun, started) = oneshot::channel();
    let (go, gone) = oneshot::channel::<()>();
    let first = store.write(work(move |tx| {
        Box::pin(async move {
            begun.send(()).unwrap();
            gone.await.unwrap();
            tx.execute("INSERT INTO t (id, n) VALUES (1, 0)", params![]).await
        })
    }));
    let close = async {
        started.await.unwrap();
        let closing = store.close();
        let release = async { go.send(()).unwrap() };
        // The close begins first, and cannot end before the write.
        tokio::join!(biased; closing, release);
    };
    let (first, second, ()) = tokio::join!(biased; first, insert(&store, 2), close);
    assert_eq!((first, second), (Ok(1), Ok(1)));
    assert_eq!(ids(&db.store().await).await, [1, 2]);
}

pub(super) async fn ping_tells_that_it_answers(db: Database) {
    let store = db.store().await;
    store.ping().await.unwrap();
}
