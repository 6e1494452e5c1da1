//! What there is only with several members: on PostgreSQL.

use std::time::Duration;

use trellis_runtime::Shutdown;
use trellis_storage::{Error, Options, Store, members, params};
use trellis_testkit::{Link, Postgres};

use crate::conformance::members::{Running, fenced};
use crate::support::{Database, LIMIT, ids, until, work};

/// Long enough for a busy machine.
const TTL: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_agree_on_who_does_what() {
    let db = Database::postgres();
    let stores = [db.store().await, db.store().await, db.store().await];
    let mut running = Vec::new();
    for (store, name) in stores.iter().zip(["one", "two", "three"]) {
        running.push(Running::start(store, name, TTL).await);
    }
    for member in &running {
        member.sees(3).await;
    }
    let mut counts = [0; 3];
    for key in (0..300).map(|n| format!("key-{n}")) {
        let mine: Vec<usize> = (0..3).filter(|n| running[*n].handle.is_mine(&key)).collect();
        assert_eq!(mine.len(), 1, "{key} belongs to one");
        counts[mine[0]] += 1;
        for member in &running {
            assert_eq!(member.handle.owner_of(&key).as_ref(), Some(running[mine[0]].handle.node_id()));
        }
    }
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
    let epoch = running[0].handle.epoch();
    running.remove(1).leave().await;
    for member in &running {
        member.sees(2).await;
        assert!(member.handle.epoch() > epoch);
    }
    for member in running {
        member.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_member_is_taken_over_and_may_not_write() {
    let db = Database::postgres();
    let (first, second) = (db.store_with_table().await, db.store().await);
    let options = members::Options { ttl: Duration::from_secs(1), ..members::Options::new("asleep", "") };
    // It joins, and then does nothing any more.
    let (asleep, handle) = members::Members::join(&second, options).await.unwrap();
    let (id, epoch) = (handle.node_id().to_string(), handle.epoch());
    assert_eq!(fenced(&second, id.clone(), epoch, 1).await, Ok(1));
    let awake = Running::start(&first, "awake", TTL).await;
    awake.sees(1).await;
    assert!(!handle.is_live(), "it knew of itself before the other was told");
    assert!(!handle.is_mine("a") && awake.handle.is_mine("a"));
    assert!(matches!(fenced(&second, id.clone(), epoch, 2).await, Err(Error::NotLive(_))));
    assert_eq!(fenced(&first, awake.id(), awake.handle.epoch(), 3).await, Ok(1));
    assert_eq!(ids(&first).await, [1, 3]);
    // It wakes up, and joins again.
    let shutdown = Shutdown::new();
    let woken = tokio::spawn(asleep.run(shutdown.clone()));
    awake.sees(2).await;
    until("it is live again", || async { handle.is_live() && handle.epoch() > epoch }).await;
    shutdown.trigger();
    woken.await.unwrap();
    awake.sees(1).await;
    awake.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_write_and_a_change_of_the_list_wait_for_each_other() {
    let db = Database::postgres();
    let (first, second) = (db.store_with_table().await, db.store().await);
    let one = Running::start(&first, "one", TTL).await;
    let (id, epoch) = (one.id(), one.handle.epoch());
    let joining = first
        .write(work(move |tx| {
            Box::pin(async move {
                tx.require_live(&id, epoch).await?;
                let joining = tokio::spawn(async move { Running::start(&second, "two", TTL).await });
                // Waits for this transaction, if it has come so far.
                let waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted
                               AND transactionid::text = pg_current_xact_id()::text";
                while tx.fetch_one::<i64>(waiting, params![]).await? == 0 {
                    tokio::task::yield_now().await;
                }
                assert!(!joining.is_finished());
                tx.execute("INSERT INTO t (id, n) VALUES (1, 0)", params![]).await?;
                Ok(joining)
            })
        }))
        .await
        .unwrap();
    let two = joining.await.unwrap();
    assert_eq!(ids(&first).await, [1]);
    one.sees(2).await;
    two.leave().await;
    one.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_its_database_stops_itself_and_comes_back() {
    let server = Postgres::start().unwrap();
    let url = server.fresh_database().unwrap();
    let options = Options { acquire_timeout: Duration::from_millis(500), ..Options::url(&url).unwrap() };
    let store = Store::open(options).await.unwrap();
    let member = Running::start(&store, "one", Duration::from_secs(3)).await;
    assert!(member.handle.is_live());
    server.stop();
    tokio::time::timeout(LIMIT, member.handle.lost()).await.expect("its lease ends by its own clock");
    assert!(!member.handle.is_live() && member.handle.claim("a").is_none());
    assert_eq!(member.handle.live().borrow().len(), 1, "the list stays as it was last seen");
    server.start_again().unwrap();
    until("it is live again", || async { member.handle.is_live() }).await;
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_database_was_away_for_all_nobody_is_declared_dead_by_the_first_who_is_back() {
    let db = Database::postgres();
    let (mut links, mut members) = (Vec::new(), Vec::new());
    for name in ["one", "two"] {
        let (link, url) = Link::around(&db.options().url).unwrap();
        let short = Duration::from_millis(500);
        let store = Store::open(Options { url, acquire_timeout: short, ..db.options() }).await.unwrap();
        members.push(Running::start(&store, name, TTL / 2).await);
        links.push(link);
    }
    for member in &members {
        member.sees(2).await;
    }
    let epoch = members[0].handle.epoch();
    for link in &links {
        link.silence();
    }
    for member in &members {
        tokio::time::timeout(LIMIT, member.handle.lost()).await.expect("its lease ends by its own clock");
    }
    // By now their rows say so as well.
    let overdue = "SELECT count(*) FROM trellis_members
                   WHERE expires_unix_ms < extract(epoch FROM clock_timestamp()) * 1000";
    let judge = db.store().await;
    until("both are overdue", || async { judge.fetch_one::<i64>(overdue, params![]).await == Ok(2) }).await;
    for (link, member) in links.iter().zip(&members) {
        link.heal();
        until("it is live again", || async { member.handle.is_live() }).await;
    }
    for member in &members {
        assert_eq!((member.handle.epoch(), member.handle.live().borrow().len()), (epoch, 2));
    }
    // One that does not come back is declared dead all the same.
    let (link, gone) = (&links[1], members.remove(1));
    link.silence();
    members[0].sees(1).await;
    link.heal();
    members[0].sees(2).await;
    gone.leave().await;
    members.remove(0).leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_its_row_joins_again() {
    let db = Database::postgres();
    let store = db.store_with_table().await;
    let member = Running::start(&store, "one", Duration::from_secs(1)).await;
    let epoch = member.handle.epoch();
    // As if another had declared it dead.
    let bury = work(|tx| {
        Box::pin(async move {
            tx.execute("DELETE FROM trellis_members", params![]).await?;
            tx.execute("UPDATE trellis_members_epoch SET epoch = epoch + 1", params![]).await?;
            tx.announce("members", "test").await
        })
    });
    store.write_ordered(bury).await.unwrap();
    assert!(matches!(fenced(&store, member.id(), epoch, 1).await, Err(Error::NotLive(_))));
    until("it is a member again", || async { member.handle.is_live() && member.handle.epoch() > epoch + 1 })
        .await;
    let epoch = member.handle.epoch();
    assert_eq!(fenced(&store, member.id(), epoch, 1).await, Ok(1));
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_there_is_one_member() {
    let db = Database::sqlite();
    let store = db.store_with_table().await;
    let first = Running::start(&store, "first", TTL).await;
    let epoch = first.handle.epoch();
    let second = Running::start(&store, "second", TTL).await;
    assert_eq!(second.handle.live().borrow().len(), 1);
    tokio::time::timeout(LIMIT, first.handle.lost()).await.expect("it was replaced");
    assert!(matches!(fenced(&store, first.id(), epoch, 1).await, Err(Error::NotLive(_))));
    assert!(second.handle.is_mine("a"));
    first.leave().await;
    let epoch = second.handle.epoch();
    assert_eq!(fenced(&store, second.id(), epoch, 2).await, Ok(1), "who was replaced leaves nothing");
    second.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_renewed_however_much_there_is_to_write() {
    let db = Database::postgres();
    let other = db.store_with_table().await;
    let narrow = Options { max_readers: 1, max_waiting_writes: 1, ..db.options() };
    let store = Store::open(narrow).await.unwrap();
    let member = Running::start(&store, "busy", Duration::from_secs(1)).await;
    let epoch = member.handle.epoch();
    let renewals = work(move |tx| {
        Box::pin(async move {
            // Holds the only connection and the only place, until the lease was renewed some times.
            tx.execute("INSERT INTO t (id, n) VALUES (1, 0)", params![]).await?;
            let mut seen = std::collections::BTreeSet::new();
            while seen.len() < 5 {
                let expires: i64 =
                    other.fetch_one("SELECT expires_unix_ms FROM trellis_members", params![]).await?;
                seen.insert(expires);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(seen.len())
        })
    });
    assert_eq!(store.write(renewals).await, Ok(5));
    assert_eq!(member.handle.epoch(), epoch, "it was a member all the time");
    member.leave().await;
}
