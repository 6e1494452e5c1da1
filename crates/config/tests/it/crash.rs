//! kill -9 in the middle of writes, and a full disk.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};

use trellis_storage::params;

use crate::child;
use crate::support::{Database, author, set};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    for _ in 0..3 {
        let mut child = child::writer(&path);
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            if let Some((writer, number)) = child::acknowledged(&line.unwrap()) {
                last.insert(writer, number);
            }
            if last.values().sum::<u64>() > 400 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some((writer, number)) = child::acknowledged(&line) {
                last.insert(writer, number);
            }
        }
        let store = trellis_storage::Store::open(trellis_storage::Options::sqlite(&path)).await.unwrap();
        let clock = trellis_runtime::WallClock::fixed(0);
        let (_service, handle) =
            trellis_config::Service::new(trellis_config::Options::default(), store.clone(), clock, None)
                .await
                .unwrap();
        for (writer, number) in last {
            let entry = handle.kv_get(&format!("w/{writer}")).value.unwrap();
            let kept: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
            assert!(kept >= number, "writer {writer} was told {number}, and {kept} is there");
        }
        handle.kv_delete_tree("w/").await.unwrap();
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_an_error_and_nothing_is_lost() {
    let db = Database::sqlite();
    let node = db.start().await;
    let handle = &node.handle;
    handle.config_apply(vec![set("a", "1")], author()).await.unwrap();
    // The limit of the connection that writes; SQLite never lowers it below what is there.
    node.store
        .write::<i64, trellis_storage::Error, _>(|tx| {
            Box::pin(tx.fetch_one("PRAGMA max_page_count = 1", params![]))
        })
        .await
        .unwrap();
    let large = format!("\"{}\"", "x".repeat(200_000));
    let error = handle.config_apply(vec![set("b", &large)], author()).await.unwrap_err();
    let full = |text: &str| text.contains("full");
    assert!(
        matches!(&error, trellis_config::Error::Store(trellis_storage::Error::Unavailable(text)) if full(text)),
        "{error:?}"
    );
    assert_eq!(error.code().id, "TRL4001");
    assert!(handle.config_list(&crate::support::space(), "", None, true, false).unwrap().items.len() == 1);
    node.stop().await;
    let node = db.start().await;
    node.handle.config_apply(vec![set("b", &large)], author()).await.unwrap();
    assert_eq!(
        node.handle.config_list(&crate::support::space(), "", None, true, false).unwrap().items.len(),
        2
    );
    node.stop().await;
}
