//! Acknowledged writes a second on SQLite, for several numbers of concurrent writers.
//!
//! `cargo run --release -p trellis-storage --example writes [FOLDER]`: the folder should be on the disk in question.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use trellis_storage::{Options, Store, params};

const TIME: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(root)?;
    println!("writers   writes/s  commits/s  writes/commit");
    for writers in [1_i64, 16, 64, 256] {
        let store = Store::open(Options::sqlite(&folder.path().join(format!("{writers}.db")))).await?;
        store.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT NOT NULL)", params![]).await?;
        let (before, start) = (store.commits(), Instant::now());
        let tasks =
            (0..writers).map(|writer| tokio::spawn(write(store.clone(), writer, writers, start + TIME)));
        let mut writes = 0;
        for task in join_all(tasks).await {
            writes += task??;
        }
        let (seconds, commits) = (start.elapsed().as_secs_f64(), (store.commits() - before) as f64);
        let writes = writes as f64;
        println!(
            "{writers:7} {:10.0} {:10.0} {:14.1}",
            writes / seconds,
            commits / seconds,
            writes / commits
        );
        store.close().await;
    }
    Ok(())
}

async fn write(store: Store, first: i64, step: i64, end: Instant) -> Result<u64, trellis_storage::Error> {
    let mut writes = 0;
    let mut id = first;
    while Instant::now() < end {
        let body = "a row of a hundred bytes or so, which is what an order or a message comes to in practice, more or less";
        store.execute("INSERT INTO t (id, body) VALUES ($1, $2)", params![id, body]).await?;
        id += step;
        writes += 1;
    }
    Ok(writes)
}
