//! A member is killed under load.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trellis_core::Status;
use trellis_testkit::wait_until;

use super::{LIMIT, Member, database, long};
use crate::child;
use crate::support::name;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_registration_and_fails_no_discovery() {
    let (_server, url) = database();
    let b = Member::start(&url).await;
    b.handle.admit(long("first", "a")).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let reads = {
        let (handle, over) = (b.handle.clone(), over.clone());
        tokio::spawn(async move {
            let mut seen = 0;
            while !over.load(Ordering::Relaxed) {
                // What was there once is there always: nothing leaves in this test.
                let now = handle.discover(&name("a")).len();
                assert!(now >= seen, "{now} after {seen}");
                seen = now;
                tokio::task::yield_now().await;
            }
        })
    };
    let told = tokio::task::spawn_blocking(move || {
        let mut process = child::registering_at(&url);
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut seen =
            lines.map_while(Result::ok).filter_map(|line| child::acknowledged(&line).map(str::to_owned));
        let mut told: Vec<String> = seen.by_ref().take(300).collect();
        process.kill().unwrap();
        told.extend(seen);
        process.wait().unwrap();
        told
    })
    .await
    .unwrap();
    assert!(told.len() >= 300);
    let me = b.members.node_id().to_string();
    for instance in &told {
        b.sees(instance, Some(Status::Up)).await;
        let adopted = || async { b.holder(instance).await.as_ref() == Some(&me) };
        wait_until("it is looked after", LIMIT, adopted).await.unwrap();
        assert_eq!(b.status(instance), Some(Status::Up));
    }
    assert_eq!(b.handle.stats().expiries, 0);
    over.store(true, Ordering::Relaxed);
    reads.await.unwrap();
    b.stop().await;
}
