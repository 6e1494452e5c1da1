use std::time::Duration;

use futures_util::future::join_all;
use trellis_storage::{Error, Migration, Options, Store, params};

use crate::support::Database;

const USERS: Migration = Migration {
    version: 1,
    name: "users",
    sql: "CREATE TABLE users (id {{auto_id}}, name TEXT NOT NULL, photo {{blob}});
          CREATE UNIQUE INDEX users_name ON users (name);
          INSERT INTO users (name) VALUES ('Ada; Lovelace');",
};
const EMAIL: Migration =
    Migration { version: 2, name: "email", sql: "ALTER TABLE users ADD COLUMN email TEXT" };
const AGE: Migration = Migration { version: 3, name: "age", sql: "ALTER TABLE users ADD COLUMN age BIGINT" };
const BROKEN: Migration = Migration {
    version: 3,
    name: "broken",
    sql: "CREATE TABLE half (id BIGINT); INSERT INTO half VALUES (1); INSERT INTO nowhere VALUES (1);",
};

async fn refused(store: &Store, migrations: &[Migration]) -> String {
    match store.migrate("shop", migrations).await {
        Err(Error::Migration(text)) => text,
        other => panic!("not refused as a migration: {other:?}"),
    }
}

async fn names(store: &Store) -> Vec<String> {
    store.fetch_all("SELECT name FROM users ORDER BY id", params![]).await.unwrap()
}

pub(super) async fn they_run_once(db: Database) {
    let store = db.store().await;
    store.migrate("shop", &[USERS]).await.unwrap();
    store.migrate("shop", &[USERS]).await.unwrap();
    store.migrate("shop", &[USERS, EMAIL]).await.unwrap();
    assert_eq!(names(&store).await, ["Ada; Lovelace"]);
    let email: Option<String> = store.fetch_one("SELECT email FROM users", params![]).await.unwrap();
    assert_eq!(email, None);
    store.close().await;
    let store = db.store().await;
    store.migrate("shop", &[USERS, EMAIL, AGE]).await.unwrap();
    assert_eq!(names(&store).await.len(), 1);
}

pub(super) async fn a_changed_one_is_refused(db: Database) {
    let store = db.store().await;
    store.migrate("shop", &[USERS, EMAIL]).await.unwrap();
    let changed = Migration { sql: "ALTER TABLE users ADD COLUMN e_mail TEXT", ..EMAIL };
    let error = refused(&store, &[USERS, changed, AGE]).await;
    assert!(error.contains("migration 2 (email) of shop was changed"), "{error}");
    assert!(store.fetch_all::<i64>("SELECT age FROM users", params![]).await.is_err(), "nothing else ran");
}

pub(super) async fn a_missing_one_is_refused(db: Database) {
    let store = db.store().await;
    store.migrate("shop", &[USERS, EMAIL]).await.unwrap();
    let error = refused(&store, &[USERS]).await;
    assert!(error.contains("migration 2 (email)") && error.contains("newer program"), "{error}");
}

pub(super) async fn one_that_comes_too_late_is_refused(db: Database) {
    let store = db.store().await;
    store.migrate("shop", &[USERS, AGE]).await.unwrap();
    let error = refused(&store, &[USERS, EMAIL, AGE]).await;
    assert!(error.contains("migration 2 (email)") && error.contains("higher number"), "{error}");
    assert!(refused(&store, &[AGE, USERS]).await.contains("number them upwards"));
}

pub(super) async fn a_failing_one_leaves_nothing(db: Database) {
    let store = db.store().await;
    store.migrate("shop", &[USERS]).await.unwrap();
    let error = refused(&store, &[USERS, EMAIL, BROKEN]).await;
    assert!(error.contains("migration 3 (broken) of shop") && error.contains("nowhere"), "{error}");
    for sql in ["SELECT COUNT(*) FROM half", "SELECT COUNT(email) FROM users"] {
        assert!(store.fetch_one::<i64>(sql, params![]).await.is_err(), "{sql}");
    }
    store.migrate("shop", &[USERS, EMAIL, AGE]).await.unwrap();
}

pub(super) async fn many_may_start_at_once(db: Database) {
    let starts = (0..8).map(|_| {
        let options = db.options();
        tokio::spawn(async move {
            let store = Store::open(options).await.unwrap();
            store.migrate("shop", &[USERS, EMAIL, AGE]).await.unwrap();
            store.close().await;
        })
    });
    for start in join_all(starts).await {
        start.unwrap();
    }
    assert_eq!(names(&db.store().await).await.len(), 1, "the row was inserted once");
}

pub(super) async fn owners_do_not_meet(db: Database) {
    let store = db.store().await;
    let other = Migration { version: 1, name: "orders", sql: "CREATE TABLE orders (id {{auto_id}})" };
    store.migrate("users", &[USERS, EMAIL]).await.unwrap();
    store.migrate("orders", &[other]).await.unwrap();
    store.migrate("users", &[USERS, EMAIL]).await.unwrap();
    let ran: Vec<(String, i64)> = store
        .fetch_all("SELECT owner, version FROM trellis_migrations ORDER BY owner, version", params![])
        .await
        .unwrap();
    let wanted =
        [("orders", 1), ("users", 1), ("users", 2)].map(|(owner, version)| (owner.to_owned(), version));
    assert_eq!(ran, wanted);
}

/// A big table takes its time, which ordinary statements are not given.
pub(super) async fn they_may_take_long(db: Database) {
    let slow = Migration {
        version: 1,
        name: "slow",
        sql: "CREATE TABLE big AS WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000000)
              SELECT COUNT(*) AS n FROM c",
    };
    let store = Store::open(Options { max_work: Duration::from_millis(250), ..db.options() }).await.unwrap();
    store.migrate("shop", &[slow]).await.unwrap();
    let count: i64 = db.store().await.fetch_one("SELECT n FROM big", params![]).await.unwrap();
    assert_eq!(count, 2_000_000);
}
