//! What only PostgreSQL has: a server that is away, refuses, or breaks the connection.

use std::time::Duration;

use trellis_storage::{Error, Options, Store, params};
use trellis_testkit::Postgres;

use crate::support::{Database, ids, insert, until};

async fn refused(url: &str) -> String {
    let options = Options { acquire_timeout: Duration::from_secs(2), ..Options::url(url).unwrap() };
    match Store::open(options).await {
        Err(Error::Unavailable(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("{url} was opened"),
    }
}

#[tokio::test]
async fn wrong_addresses_are_named_with_the_fix_but_no_password() {
    let server = Postgres::shared().unwrap();
    let url = server.url();
    let (head, place) = url.rsplit_once('@').unwrap();
    let (user, password) = head.rsplit_once(':').unwrap();
    let wrong_password = refused(&format!("{user}:hunter2@{place}")).await;
    assert!(wrong_password.contains("check user and password"), "{wrong_password}");
    let wrong_database = refused(&format!("{url}_missing")).await;
    assert!(wrong_database.contains("create the database"), "{wrong_database}");
    // Port 1 is never listened on.
    let wrong_port = refused(&format!("{head}@127.0.0.1:1/postgres")).await;
    assert!(wrong_port.contains("check that the server runs"), "{wrong_port}");
    let wrong_form = refused("postgres://ada:hunter2@localhost:port/shop").await;
    assert!(wrong_form.contains("is not a PostgreSQL URL"), "{wrong_form}");
    for text in [wrong_password, wrong_database, wrong_port, wrong_form] {
        assert!(!text.contains("hunter2") && !text.contains(password), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = refused(&format!("postgres://ada@{}/shop", silent.local_addr().unwrap())).await;
    assert!(error.contains("did not answer within 2s"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_are_replaced() {
    let server = Postgres::start().unwrap();
    let store = Store::open(Options::url(&server.fresh_database().unwrap()).unwrap()).await.unwrap();
    store.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)", params![]).await.unwrap();
    insert(&store, 1).await.unwrap();
    ids(&store).await;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'";
    server.execute(others).unwrap();
    until("a write goes through again", || async { insert(&store, 2).await.is_ok() }).await;
    until("a read goes through again", || async { store.ping().await.is_ok() }).await;
    assert_eq!(ids(&store).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_makes_writes_unavailable() {
    let server = Postgres::start().unwrap();
    let url = server.fresh_database().unwrap();
    let options = Options { acquire_timeout: Duration::from_millis(500), ..Options::url(&url).unwrap() };
    let store = Store::open(options).await.unwrap();
    store.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)", params![]).await.unwrap();
    drop(server);
    let error = insert(&store, 1).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert!(store.ping().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_too_long_is_busy() {
    let db = Database::postgres();
    let store = db.store_with_table().await;
    insert(&store, 1).await.unwrap();
    let other =
        Store::open(Options { busy_timeout: Duration::from_millis(100), ..db.options() }).await.unwrap();
    store
        .write(crate::support::work(move |tx| {
            Box::pin(async move {
                tx.execute("UPDATE t SET n = 1 WHERE id = 1", params![]).await?;
                let error = other.execute("UPDATE t SET n = 2 WHERE id = 1", params![]).await.unwrap_err();
                assert!(matches!(error, Error::Busy(_)), "{error}");
                Ok(())
            })
        }))
        .await
        .unwrap();
}
