//! Changes that share a write, and what becomes of them in the tables.

use std::collections::BTreeMap;

use trellis_config::kv::Put;
use trellis_config::versioned::{Change, Edit};
use trellis_config::{Error, Handle, Options};

use crate::support::{Database, author, edit, options, set, space};

/// What was done to each key, and what a writer was told: action, version, value.
type Told = BTreeMap<String, Vec<(&'static str, u64, Option<u64>)>>;

const WRITERS: u64 = 16;
const KEYS: u64 = 3;

/// Every writer has keys of its own, so it knows what their histories are to be; together they fill many writes, and the
/// journal more than once.
async fn write(handle: Handle, writer: u64, rounds: u64, seed: u64) -> Told {
    let mut told = Told::new();
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..rounds {
        let path = format!("w{writer}/k{}", random.u64(..KEYS));
        let lines = told.entry(path.clone()).or_default();
        let there = lines.last().is_some_and(|line| line.2.is_some());
        let (action, change, value) = match random.u8(..10) {
            0 if there => ("delete", edit(&path, Change::Delete), None),
            1 if !lines.is_empty() => ("purge", edit(&path, Change::Purge), None),
            2 if there => {
                let (_, to, value) = lines[random.usize(..lines.len())];
                match value {
                    Some(_) => ("rollback", edit(&path, Change::Rollback { to }), value),
                    None => continue,
                }
            }
            _ => {
                let value = round + writer * 1_000_000;
                ("set", set(&path, &value.to_string()), Some(value))
            }
        };
        let written = handle.config_apply(vec![change], author()).await.unwrap();
        if action == "purge" {
            lines.clear();
        } else {
            lines.push((action, written[0].version, value));
        }
    }
    told.retain(|_, lines| !lines.is_empty());
    told
}

async fn check(handle: &Handle, told: &Told) {
    for (path, lines) in told {
        let key = space().key(path).unwrap();
        let history = handle.config_history(&key, None, 1_000, false).await.unwrap();
        let found: Vec<_> = history
            .iter()
            .rev()
            .map(|line| {
                (&*line.action, line.version, line.value.as_ref().and_then(serde_json::Value::as_u64))
            })
            .collect();
        assert_eq!(&found, lines, "{path}");
        let now = handle.config_get(&key, None, false).ok();
        let now = now.and_then(|view| view.value?.get().parse().ok());
        assert_eq!(now, lines.last().unwrap().2, "{path}");
    }
    let there = handle.config_list(&space(), "", None, false, false).unwrap().items;
    let wanted = told.values().filter(|lines| lines.last().unwrap().2.is_some()).count();
    assert_eq!(there.len(), wanted);
}

pub(super) async fn what_was_written_is_the_same_from_journal_and_tables(db: Database) {
    let many = || Options { history: 1_000, ..options() };
    let node = db.start_with(many()).await;
    let writers: Vec<_> = (0..WRITERS).map(|n| tokio::spawn(write(node.handle.clone(), n, 100, n))).collect();
    let mut told = Told::new();
    for writer in writers {
        told.extend(writer.await.unwrap());
    }
    check(&node.handle, &told).await;
    node.stop().await;
    let node = db.start_with(many()).await;
    check(&node.handle, &told).await;
    let audit = node.handle.config_audit(&space(), "", None, 1_000).await.unwrap();
    assert!(audit.windows(2).all(|pair| pair[0].revision >= pair[1].revision), "newest first");
    node.stop().await;
}

/// Each change sees those before it, also those of the same write.
pub(super) async fn nobody_overwrites_what_he_has_not_seen(db: Database) {
    let node = db.start().await;
    let count = |handle: Handle| async move {
        for _ in 0..10 {
            loop {
                let old = handle.kv_get("counter").value;
                let number: u64 = old
                    .as_ref()
                    .map_or(0, |entry| std::str::from_utf8(&entry.value).unwrap().parse().unwrap());
                let cas = Some(old.map_or(0, |entry| entry.modify_index));
                let next = Put { value: (number + 1).to_string().into(), cas, ..Put::default() };
                if handle.kv_put("counter", next).await.unwrap() {
                    break;
                }
            }
        }
    };
    let counters: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(count(node.handle.clone()))).collect();
    for counter in counters {
        counter.await.unwrap();
    }
    let entry = node.handle.kv_get("counter").value.unwrap();
    assert_eq!(&entry.value[..], (WRITERS * 10).to_string().as_bytes());
    node.stop().await;
}

/// A change that is refused takes nothing of its neighbours with it, and is told why.
pub(super) async fn a_refused_change_leaves_its_neighbours_alone(db: Database) {
    let node = db.start().await;
    node.handle.config_apply(vec![set("taken", "1")], author()).await.unwrap();
    let new = |n: u64| Edit { cas: Some(0), ..set(if n.is_multiple_of(2) { "taken" } else { "free" }, "2") };
    let changes: Vec<_> = (0..WRITERS * 2)
        .map(|n| {
            let (handle, edits) = (node.handle.clone(), vec![set(&format!("own{n}"), "0"), new(n)]);
            tokio::spawn(async move { handle.config_apply(edits, author()).await })
        })
        .collect();
    let mut done = 0;
    for change in changes {
        match change.await.unwrap() {
            Ok(_) => done += 1,
            Err(error) => assert!(matches!(error, Error::Stale { .. }), "{error:?}"),
        }
    }
    assert_eq!(done, 1, "one of them makes the free key");
    let items = node.handle.config_list(&space(), "", None, false, false).unwrap().items;
    assert_eq!(items.iter().filter(|item| item.key.starts_with("own")).count(), 1);
    node.stop().await;
}
