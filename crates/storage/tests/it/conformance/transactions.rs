use futures_util::future::join_all;
use tokio::sync::oneshot;
use trellis_storage::{Error, params};

use crate::support::{Database, ids, insert, until, work};

pub(super) async fn a_closure_is_all_or_nothing(db: Database) {
    let store = db.store_with_table().await;
    let failed = store.write(work(|tx| {
        Box::pin(async move {
            tx.execute("INSERT INTO t (id, n) VALUES (1, 1)", params![]).await?;
            tx.execute("INSERT INTO t (id, n) VALUES (2, 1)", params![]).await?;
            Err::<(), _>(Error::Invalid("changed my mind".to_owned()))
        })
    }));
    assert_eq!(failed.await.unwrap_err(), Error::Invalid("changed my mind".to_owned()));
    assert!(ids(&store).await.is_empty());
    let done = store.write(work(|tx| {
        Box::pin(async move {
            tx.execute("INSERT INTO t (id, n) VALUES (1, 1)", params![]).await?;
            tx.execute("INSERT INTO t (id, n) VALUES (2, 1)", params![]).await
        })
    }));
    assert_eq!(done.await.unwrap(), 1);
    assert_eq!(ids(&store).await, [1, 2]);
}

#[derive(Debug, PartialEq)]
enum Own {
    Store(Error),
    SoldOut { left: i64 },
}

impl From<Error> for Own {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

pub(super) async fn the_callers_own_error_comes_back(db: Database) {
    let store = db.store_with_table().await;
    let error = store
        .write(|tx| {
            Box::pin(async move {
                let left = tx.fetch_one("SELECT COUNT(*) FROM t", params![]).await?;
                Err::<(), Own>(Own::SoldOut { left })
            })
        })
        .await
        .unwrap_err();
    assert_eq!(error, Own::SoldOut { left: 0 });
    let error = store
        .write(|tx| {
            Box::pin(
                async move { Ok::<_, Own>(tx.execute("INSERT INTO missing VALUES (1)", params![]).await?) },
            )
        })
        .await
        .unwrap_err();
    assert!(matches!(&error, Own::Store(Error::Statement(text)) if text.contains("missing")), "{error:?}");
}

pub(super) async fn a_transaction_sees_its_own_writes(db: Database) {
    let store = db.store_with_table().await;
    let other = store.clone();
    let (inside, outside) = store
        .write(work(move |tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO t (id, n) VALUES (1, 7)", params![]).await?;
                let inside: Option<i64> =
                    tx.fetch_optional("SELECT n FROM t WHERE id = $1", params![1_i64]).await?;
                Ok((inside, ids(&other).await))
            })
        }))
        .await
        .unwrap();
    assert_eq!(inside, Some(7));
    assert!(outside.is_empty(), "nobody else sees it before the commit");
}

pub(super) async fn a_failed_statement_spoils_the_transaction(db: Database) {
    let store = db.store_with_table().await;
    insert(&store, 1).await.unwrap();
    let hidden = store.write(work(|tx| {
        Box::pin(async move {
            tx.execute("INSERT INTO t (id, n) VALUES (2, 0)", params![]).await?;
            let conflict = tx.execute("INSERT INTO t (id, n) VALUES (1, 0)", params![]).await;
            assert!(matches!(conflict, Err(Error::Conflict(_))));
            let next = tx.execute("INSERT INTO t (id, n) VALUES (3, 0)", params![]).await;
            assert!(matches!(next, Err(Error::Statement(_))));
            Ok(())
        })
    }));
    assert!(matches!(hidden.await, Err(Error::Conflict(_))), "an Ok over a failed statement is no success");
    assert_eq!(ids(&store).await, [1]);
}

pub(super) async fn a_panic_rolls_back_and_the_store_goes_on(db: Database) {
    let store = db.store_with_table().await;
    let panicked = store.write(work(|tx| {
        Box::pin(async move {
            tx.execute("INSERT INTO t (id, n) VALUES (1, 0)", params![]).await?;
            assert_eq!(tx.execute("UPDATE t SET n = 1", params![]).await?, 0, "one too many");
            Ok(())
        })
    }));
    let error = panicked.await.unwrap_err().to_string();
    assert!(error.contains("one too many"), "{error}");
    insert(&store, 2).await.unwrap();
    assert_eq!(ids(&store).await, [2]);
}

pub(super) async fn broken_constraints_are_told_apart(db: Database) {
    let store = db.store_with_table().await;
    store.execute("CREATE TABLE child (t_id BIGINT NOT NULL REFERENCES t (id))", params![]).await.unwrap();
    insert(&store, 1).await.unwrap();
    assert!(matches!(insert(&store, 1).await, Err(Error::Conflict(_))));
    for sql in [
        "INSERT INTO t (id, n) VALUES (2, -1)",
        "INSERT INTO t (id) VALUES (3)",
        "INSERT INTO child (t_id) VALUES (99)",
    ] {
        let done = store.execute(sql, params![]).await;
        assert!(matches!(done, Err(Error::Constraint(_))), "{sql}: {done:?}");
    }
    let error = store.execute("SELECT FROM WHERE", params![]).await.unwrap_err();
    assert!(matches!(&error, Error::Statement(text) if text.contains("SELECT FROM WHERE")), "{error}");
    assert_eq!(ids(&store).await, [1]);
}

pub(super) async fn a_failing_closure_does_not_touch_others(db: Database) {
    let store = db.store_with_table().await;
    let writes = (0..200_i64).map(|id| {
        let store = store.clone();
        async move {
            let done = store.write(work(move |tx| {
                Box::pin(async move {
                    tx.execute("INSERT INTO t (id, n) VALUES ($1, 0)", params![id]).await?;
                    match id % 4 {
                        1 => Err(Error::Invalid("no".to_owned())),
                        2 => {
                            tx.execute("INSERT INTO t (id, n) VALUES ($1, 0)", params![id]).await.map(|_| ())
                        }
                        3 => panic!("no"),
                        _ => Ok(()),
                    }
                })
            }));
            (id, done.await.is_ok())
        }
    });
    let done = join_all(writes).await;
    assert!(done.iter().all(|(id, ok)| *ok == (id % 4 == 0)), "{done:?}");
    let kept: Vec<i64> = (0..200).filter(|id| id % 4 == 0).collect();
    assert_eq!(ids(&store).await, kept);
}

/// A constraint that is checked at the commit is the one way to make a commit fail at will.
pub(super) async fn a_failed_commit_is_no_success(db: Database) {
    let store = db.store_with_table().await;
    let sql = "CREATE TABLE late (t_id BIGINT REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)";
    store.execute(sql, params![]).await.unwrap();
    let error = store.execute("INSERT INTO late (t_id) VALUES (99)", params![]).await.unwrap_err();
    assert!(matches!(error, Error::CommitFailed(_)), "{error}");
    insert(&store, 1).await.unwrap();
    let count: i64 = store.fetch_one("SELECT COUNT(*) FROM late", params![]).await.unwrap();
    assert_eq!((count, ids(&store).await), (0, vec![1]));
}

pub(super) async fn a_write_ends_though_its_caller_left(db: Database) {
    let store = db.store_with_table().await;
    let (begun, started) = oneshot::channel();
    let (go, gone) = oneshot::channel::<()>();
    let writer = store.clone();
    let caller = tokio::spawn(async move {
        writer
            .write(work(move |tx| {
                Box::pin(async move {
                    tx.execute("INSERT INTO t (id, n) VALUES (1, 0)", params![]).await?;
                    begun.send(()).unwrap();
                    gone.await.unwrap();
                    tx.execute("INSERT INTO t (id, n) VALUES (2, 0)", params![]).await
                })
            }))
            .await
    });
    started.await.unwrap();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    go.send(()).unwrap();
    until("both rows are there", || async { ids(&store).await == [1, 2] }).await;
}

pub(super) async fn reads_may_not_write(db: Database) {
    let store = db.store_with_table().await;
    let done = store.fetch_all::<i64>("INSERT INTO t (id, n) VALUES (1, 0) RETURNING id", params![]).await;
    assert!(matches!(done, Err(Error::Statement(_))), "{done:?}");
    assert!(ids(&store).await.is_empty());
}
