//! Nodes of the control plane that are killed: their sessions live on, and no lock is ever held twice.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trellis_config::kv::{Cause, NewSession, Put, SessionId};
use trellis_testkit::LockHistory;

use crate::child;
use crate::support::{Database, LIMIT, until};

/// Everything that children said of holding the lock.
#[derive(Clone, Default)]
struct Story(Arc<Mutex<LockHistory>>);

impl Story {
    fn len(&self) -> usize {
        self.0.lock().unwrap().holds.len()
    }

    /// Listens to a child until it ends.
    fn listen(&self, child: &mut Child) -> tokio::task::JoinHandle<()> {
        let (story, out) = (self.clone(), child.stdout.take().unwrap());
        tokio::task::spawn_blocking(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            for held in lines.filter_map(|line| child::held(&line)) {
                story.0.lock().unwrap().holds.push(held);
            }
        })
    }

    /// Panics if it cannot be true; how often the lock was given.
    fn check(&self) -> usize {
        let history = self.0.lock().unwrap();
        assert_eq!(history.violations(), [""; 0]);
        history.count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_never_held_twice_while_nodes_and_their_clients_are_killed() {
    let db = Database::postgres();
    let node = db.start().await;
    let story = Story::default();
    let mut fighters = Vec::new();
    for round in 0..7 {
        let name = format!("fighter-{round}");
        let mut child = child::fighter(&db.options.url, &name);
        let listening = story.listen(&mut child);
        fighters.push((name, child, listening));
        if fighters.len() < 3 {
            continue;
        }
        // Each time at another moment, most likely in the middle of a hold.
        let enough = story.len() + 40 + round * 7;
        until("the lock goes round", || story.len() >= enough).await;
        let (name, mut child, listening) = fighters.remove(0);
        child.kill().unwrap();
        child.wait().unwrap();
        listening.await.unwrap();
        // What a failing check of its node does; without one its time to live ends them.
        node.handle.sync().await.unwrap();
        node.handle.invalidate_sessions_of(&Cause::Node(name)).await.unwrap();
    }
    for (_, mut child, listening) in fighters {
        child.kill().unwrap();
        child.wait().unwrap();
        listening.await.unwrap();
    }
    assert!(story.check() > 10, "it was held by many");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_killed_node_are_taken_over_with_their_whole_time() {
    let db = Database::postgres();
    let (one, two) = (db.start().await, db.start().await);
    let (kv, other) = (&one.handle, &two.handle);
    let story = Story::default();
    let mut child = child::fighter(&db.options.url, "killed");
    let listening = story.listen(&mut child);
    until("it holds the lock", || story.len() > 20).await;
    child.kill().unwrap();
    child.wait().unwrap();
    listening.await.unwrap();
    kv.sync().await.unwrap();
    let left: Vec<SessionId> =
        kv.session_list(Some("killed")).value.iter().map(|session| session.id).collect();
    assert!(!left.is_empty(), "a killed client gives nothing back");
    // One of the two that live takes each of them, and no other.
    let counted = || kv.sessions_counted() + other.sessions_counted();
    until("they are taken over", || counted() == left.len()).await;
    other.sync().await.unwrap();
    for id in &left {
        assert!(kv.session_info(*id).value.is_some() && other.session_info(*id).value.is_some());
    }
    // A client that lives renews at any node; that one counts from then on.
    for id in &left {
        assert!(other.session_renew(*id).await.unwrap().is_some());
    }
    until("they have moved", || (kv.sessions_counted(), other.sessions_counted()) == (0, left.len())).await;
    // Nobody renews them again: they end, and the lock is free, with a higher token.
    let mine = NewSession { lock_delay: Duration::ZERO, ..NewSession::of_node("mine") };
    let mine = kv.session_create(mine).await.unwrap().id;
    let last = kv.kv_get("lock").value.unwrap().lock_index;
    let deadline = Instant::now() + 2 * LIMIT;
    while !kv.kv_put("lock", Put { acquire: Some(mine), ..Put::default() }).await.unwrap() {
        assert!(Instant::now() < deadline, "it is held for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(kv.kv_get("lock").value.unwrap().lock_index > last);
    // The nodes hear of it one after the other.
    until("all have ended", || kv.session_list(Some("killed")).value.is_empty() && counted() == 0).await;
    one.stop().await;
    two.stop().await;
}
