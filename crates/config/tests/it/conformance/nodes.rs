//! Two nodes on one database.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trellis_config::kv::{NewSession, Put};
use trellis_testkit::{Hold, LockHistory};

use super::keys::put;
use crate::support::{Database, author, edit, set, space, until};
use trellis_config::versioned::Change;

pub(super) async fn two_nodes_see_each_other(db: Database) {
    let (one, two) = (db.start().await, db.start().await);
    one.handle.kv_put("k", put("one")).await.unwrap();
    one.handle.config_apply(vec![set("a", "1")], author()).await.unwrap();
    until("the other node has it", || two.handle.revision() >= one.handle.revision()).await;
    assert_eq!(&two.handle.kv_get("k").value.unwrap().value[..], b"one");
    two.handle.kv_put("k", put("two")).await.unwrap();
    two.handle.config_apply(vec![edit("a", Change::Delete)], author()).await.unwrap();
    one.handle.sync().await.unwrap();
    until("and back", || one.handle.revision() >= two.handle.revision()).await;
    assert_eq!(&one.handle.kv_get("k").value.unwrap().value[..], b"two");
    assert!(one.handle.config_list(&space(), "", None, false, false).unwrap().items.is_empty());
    let key = space().key("a").unwrap();
    assert_eq!(one.handle.config_history(&key, None, 9, false).await.unwrap().len(), 2);
    two.handle.config_apply(vec![edit("a", Change::Purge)], author()).await.unwrap();
    until("a purge, too", || one.handle.revision() >= two.handle.revision()).await;
    assert!(one.handle.config_history(&key, None, 9, false).await.is_err());
    one.stop().await;
    two.stop().await;
}

/// Clients of both nodes fight for one lock, and give up their sessions without releasing it now and then.
pub(super) async fn a_lock_is_never_held_twice(db: Database) {
    let (one, two) = (db.start().await, db.start().await);
    let (history, start) = (Arc::new(Mutex::new(LockHistory::default())), Instant::now());
    let mut clients = Vec::new();
    for client in 0..6_u64 {
        let (kv, history) = (if client % 2 == 0 { &one } else { &two }.handle.clone(), history.clone());
        clients.push(tokio::spawn(async move {
            let new = || NewSession { lock_delay: Duration::ZERO, ..NewSession::of_node("n") };
            let mut session = kv.session_create(new()).await.unwrap().id;
            for round in 0..15_u64 {
                let asked = start.elapsed();
                let acquire = Put { acquire: Some(session), ..put(&format!("{client}")) };
                if !kv.kv_put("lock", acquire).await.unwrap() {
                    tokio::task::yield_now().await;
                    continue;
                }
                let granted = start.elapsed();
                let entry = kv.kv_get("lock").value.unwrap();
                // Another node may have taken it in the meantime only if our session is gone.
                assert_eq!(entry.session, Some(session));
                tokio::task::yield_now().await;
                let (until, token) = (start.elapsed(), entry.lock_index);
                let hold = Hold { session: session.to_string(), token, asked, granted, until };
                history.lock().unwrap().holds.push(hold);
                if round % 4 == 3 {
                    kv.session_destroy(session).await.unwrap();
                    session = kv.session_create(new()).await.unwrap().id;
                } else {
                    let release = Put { release: Some(session), ..put("") };
                    assert!(kv.kv_put("lock", release).await.unwrap(), "nobody takes it from its holder");
                }
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let history = std::mem::take(&mut *history.lock().unwrap());
    assert_eq!(history.violations(), [""; 0]);
    assert!(history.count() > 0, "somebody got the lock");
    one.stop().await;
    two.stop().await;
}
