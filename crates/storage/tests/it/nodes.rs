//! Several nodes on one PostgreSQL: what each hears of the changes of all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::time::Duration;

use futures_util::future::join_all;
use trellis_storage::{Error, FeedBatch, FeedOptions, Options, Store, params};
use trellis_testkit::{Link, Postgres};

use crate::child;
use crate::conformance::feed::{change, changes, next, up_to};
use crate::support::{Database, LIMIT, ids, until, work};

type Seen = Vec<(u64, String)>;

fn revisions(seen: &Seen) -> Vec<u64> {
    seen.iter().map(|(revision, _)| *revision).collect()
}

/// Announces one to three changes; the row that goes with each has its revision.
async fn announce(store: &Store, ids: Vec<i64>) -> Vec<(u64, i64)> {
    store
        .write_ordered(work(move |tx| {
            Box::pin(async move {
                let mut done = Vec::new();
                for id in ids {
                    let revision = tx.announce("t", id.to_string()).await?;
                    let sql = "INSERT INTO t (id, n) VALUES ($1, $2)";
                    tx.execute(sql, params![id, revision.cast_signed()]).await?;
                    done.push((revision, id));
                }
                Ok(done)
            })
        }))
        .await
        .unwrap()
}

/// Follows the feed, and finds of every change the row that it announces.
async fn follow(store: Store, total: u64) -> Seen {
    let mut feed = store.feed(0).await.unwrap();
    let mut seen = Vec::new();
    while feed.revision() < total {
        for change in changes(&mut feed).await {
            let sql = "SELECT n FROM t WHERE id = $1";
            let id: i64 = change.key.parse().unwrap();
            let row: u64 = store.fetch_one(sql, params![id]).await.unwrap();
            assert_eq!(row, change.revision, "what is announced is there");
            seen.push((change.revision, change.key.to_string()));
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_see_all_changes_in_one_order() {
    const WRITERS: i64 = 3;
    const WRITES: i64 = 40;
    let db = Database::postgres();
    // So few in memory that the table is read, too.
    let feed = FeedOptions { recent: 16, max_batch: 8, ..FeedOptions::default() };
    db.store_with_table().await.close().await;
    let mut stores = Vec::new();
    for _ in 0..2 {
        stores.push(Store::open(Options { feed: feed.clone(), ..db.options() }).await.unwrap());
    }
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut total = 0;
    let writers: Vec<_> = (0..2 * WRITERS)
        .map(|writer| {
            let store = stores[(writer % 2) as usize].clone();
            let mut next = writer * 1_000_000;
            let writes: Vec<Vec<i64>> = (0..WRITES)
                .map(|_| {
                    let count = random.i64(1..=3);
                    total += count as u64;
                    let first = next;
                    next += count;
                    (first..next).collect()
                })
                .collect();
            async move {
                let mut acknowledged = Vec::new();
                for ids in writes {
                    acknowledged.extend(announce(&store, ids).await);
                }
                acknowledged
            }
        })
        .collect();
    let readers: Vec<_> = stores.iter().map(|store| tokio::spawn(follow(store.clone(), total))).collect();
    let writers: Vec<_> = writers.into_iter().map(tokio::spawn).collect();
    let mut acknowledged = BTreeMap::new();
    for writer in join_all(writers).await {
        let mut last = 0;
        for (revision, id) in writer.unwrap() {
            assert!(revision > last, "a writer's own changes are in its order (seed {seed})");
            last = revision;
            assert_eq!(acknowledged.insert(revision, id.to_string()), None, "seed {seed}");
        }
    }
    let acknowledged: Seen = acknowledged.into_iter().collect();
    for reader in join_all(readers).await {
        assert_eq!(reader.unwrap(), acknowledged, "none missed, none twice, one order (seed {seed})");
    }
    assert_eq!(revisions(&acknowledged), (1..=total).collect::<Vec<_>>());
    let middle = total / 2;
    let late = up_to(&mut stores[1].feed(middle).await.unwrap(), total).await;
    assert_eq!(late, acknowledged[middle as usize..], "who comes later sees the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_notification_is_only_late() {
    let db = Database::postgres();
    let store = db.store().await;
    let mut feed = store.feed(0).await.unwrap();
    // As it is when the notification does not arrive.
    let quietly = work(|tx| {
        Box::pin(async move {
            tx.execute("INSERT INTO trellis_feed VALUES (1, 't', 'quiet', 0)", params![]).await?;
            tx.execute("UPDATE trellis_feed_head SET revision = 1", params![]).await
        })
    });
    db.store().await.write(quietly).await.unwrap();
    assert_eq!(up_to(&mut feed, 1).await, [(1, "quiet".to_owned())]);
}

/// As it is when a backup from before was restored.
async fn set_back(store: &Store, head: i64) {
    let back = work(move |tx| {
        Box::pin(async move {
            tx.execute("DELETE FROM trellis_feed WHERE revision > $1", params![head]).await?;
            tx.execute("UPDATE trellis_feed_head SET revision = $1", params![head]).await
        })
    });
    store.write(back).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_set_back_is_read_anew() {
    let db = Database::postgres();
    let (store, other) = (db.store_with_table().await, db.store().await);
    let mut feed = store.feed(0).await.unwrap();
    for id in 1..=5 {
        change(&store, id).await.unwrap();
    }
    up_to(&mut feed, 5).await;
    set_back(&other, 2).await;
    assert_eq!(next(&mut feed).await, FeedBatch::Resync { revision: 2 }, "the comparison shows it");
    assert_eq!(change(&store, 6).await, Ok(3));
    assert_eq!(up_to(&mut feed, 3).await, [(3, "6".to_owned())]);
    set_back(&other, 1).await;
    // Either this or the comparison comes first.
    assert_eq!(change(&store, 7).await, Ok(2));
    let FeedBatch::Resync { revision } = next(&mut feed).await else { panic!("it has to begin anew") };
    assert!((1..=2).contains(&revision), "{revision}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_a_node_loses_nothing_and_holds_nobody_up() {
    let db = Database::postgres();
    let store = db.store_with_table().await;
    let mut feed = store.feed(0).await.unwrap();
    let (mut acknowledged, mut id) = (BTreeMap::new(), 0);
    for round in 1..=3 {
        let mut child = child::announcer(&db.options().url, round * 1_000_000);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut theirs = lines.filter_map(|line| child::announced(&line));
        // Writes of ours between those of the other node, until it dies and after.
        for n in 0..40 {
            if n < 30 {
                acknowledged.extend(theirs.next());
            } else if n == 30 {
                child.kill().unwrap();
            }
            id += 1;
            acknowledged.insert(change(&store, id).await.unwrap(), id);
        }
        acknowledged.extend(theirs);
        assert!(!child.wait().unwrap().success());
    }
    let head = store.head().await.unwrap();
    let seen = up_to(&mut feed, head).await;
    assert_eq!(revisions(&seen), (1..=head).collect::<Vec<_>>());
    assert!(acknowledged.len() >= 3 * 70, "{}", acknowledged.len());
    for (revision, id) in acknowledged {
        assert_eq!(seen[revision as usize - 1].1, id.to_string(), "acknowledged and lost");
    }
    assert_eq!(ids(&store).await.len() as u64, head, "a row is there exactly if it was announced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_up_all_nodes_is_given_up() {
    let db = Database::postgres();
    db.store_with_table().await.close().await;
    let brief = Options { max_work: Duration::from_millis(300), ..db.options() };
    let (store, other) = (Store::open(brief).await.unwrap(), db.store().await);
    assert_eq!(change(&store, 1).await, Ok(1));
    // Nobody else writes on this node; another node waits.
    let stuck = store.write_ordered(work(|tx| {
        Box::pin(async move {
            tx.announce("t", "stuck").await?;
            std::future::pending::<Result<(), Error>>().await
        })
    }));
    let (stuck, second) = tokio::join!(biased; stuck, change(&other, 2));
    let error = stuck.unwrap_err().to_string();
    assert!(error.contains("given up after 300ms"), "{error}");
    assert_eq!(second, Ok(2), "and its revision is free again");
    assert_eq!(change(&store, 3).await, Ok(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_go_on_when_postgres_comes_back() {
    let server = Postgres::start().unwrap();
    let url = server.fresh_database().unwrap();
    let options = Options { acquire_timeout: Duration::from_millis(500), ..Options::url(&url).unwrap() };
    let stores = [Store::open(options.clone()).await.unwrap(), Store::open(options).await.unwrap()];
    let sql = "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)";
    stores[0].execute(sql, params![]).await.unwrap();
    let mut feeds = [stores[0].feed(0).await.unwrap(), stores[1].feed(0).await.unwrap()];
    until("both listen", || async { stores.iter().all(|store| store.feed_state().connected) }).await;
    let (mut acknowledged, mut refused) = (BTreeMap::new(), BTreeSet::new());
    let mut id = 0;
    for round in 1..=2 {
        server.stop();
        for store in &stores {
            until("it is known to be away", || async { !store.feed_state().connected }).await;
            assert_eq!(store.feed_state().losses, round);
        }
        id += 1;
        let error = change(&stores[0], id).await.unwrap_err();
        assert!(!error.outcome_unknown(), "{error}");
        refused.insert(id.to_string());
        // One after the other would take minutes.
        let many = join_all((0..500).map(|n| change(&stores[0], 1_000_000 + n)));
        let many = tokio::time::timeout(LIMIT, many).await.expect("those that wait are refused together");
        assert!(many.iter().all(|done| matches!(done, Err(Error::Unavailable(_)))), "{many:?}");
        server.start_again().unwrap();
        for store in &stores {
            for _ in 0..5 {
                id += 1;
                acknowledged.insert(change(store, id).await.unwrap(), id.to_string());
            }
        }
        until("both listen again", || async { stores.iter().all(|store| store.feed_state().connected) })
            .await;
    }
    let head = stores[0].head().await.unwrap();
    assert_eq!(acknowledged.len(), 20);
    let seen = [up_to(&mut feeds[0], head).await, up_to(&mut feeds[1], head).await];
    assert_eq!(seen[0], seen[1]);
    assert_eq!(revisions(&seen[0]), (1..=head).collect::<Vec<_>>());
    for (revision, key) in &acknowledged {
        assert_eq!(seen[0][*revision as usize - 1].1, *key);
    }
    assert!(seen[0].iter().all(|(_, key)| !refused.contains(key) && key.len() < 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_connection_loses_nothing() {
    let server = Postgres::start().unwrap();
    let url = server.fresh_database().unwrap();
    let stores = [
        Store::open(Options::url(&url).unwrap()).await.unwrap(),
        Store::open(Options::url(&url).unwrap()).await.unwrap(),
    ];
    let sql = "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)";
    stores[0].execute(sql, params![]).await.unwrap();
    let mut feed = stores[1].feed(0).await.unwrap();
    for round in 1..=3_i64 {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'";
        server.execute(others).unwrap();
        let revision = change(&stores[0], round).await.unwrap();
        assert_eq!(up_to(&mut feed, revision).await, [(round as u64, round.to_string())]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_falls_silent_in_a_write_fails_nobody_elses() {
    let db = Database::postgres();
    db.store_with_table().await.close().await;
    let (link, url) = Link::around(&db.options().url).unwrap();
    // The silent one is not to give up by itself.
    let (silent, other) = (Store::open(Options { url, ..db.options() }).await.unwrap(), db.store().await);
    let (inside, is_inside) = tokio::sync::oneshot::channel();
    let (go, goes) = tokio::sync::oneshot::channel::<()>();
    let stuck = tokio::spawn(async move {
        let write = silent.write_ordered(work(|tx| {
            Box::pin(async move {
                tx.announce("t", "1").await?;
                tx.execute("INSERT INTO t (id, n) VALUES (1, 1)", params![]).await?;
                inside.send(()).unwrap();
                goes.await.unwrap();
                tx.execute("UPDATE t SET n = 2 WHERE id = 1", params![]).await
            })
        }));
        write.await
    });
    is_inside.await.unwrap();
    link.silence();
    go.send(()).unwrap();
    assert_eq!(change(&other, 2).await, Ok(1), "as if the other had never been there");
    link.heal();
    let error = stuck.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert_eq!(ids(&other).await, [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_silent_for_good_are_replaced() {
    let db = Database::postgres();
    let (link, url) = Link::around(&db.options().url).unwrap();
    let short = Duration::from_millis(500);
    let options = Options { url, acquire_timeout: short, max_work: short * 2, ..db.options() };
    let (store, other) = (Store::open(options).await.unwrap(), db.store_with_table().await);
    let mut feed = store.feed(0).await.unwrap();
    assert_eq!(change(&store, 1).await, Ok(1));
    up_to(&mut feed, 1).await;
    until("it listens", || async { store.feed_state().connected }).await;
    ids(&store).await;
    link.forget();
    // Nothing tells that these connections are none any more, and the network is fine.
    assert_eq!(change(&other, 2).await, Ok(2));
    assert_eq!(up_to(&mut feed, 2).await, [(2, "2".to_owned())], "it is heard of");
    until("a write goes through", || async { change(&store, fastrand::i64(10..)).await.is_ok() }).await;
    until("a read goes through", || async { store.ping().await.is_ok() }).await;
}
