//! The comparison of registries works with ours alone, and a node that is killed under load loses nothing: a short form
//! of what `cargo xtask bench registry` does.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use trellis_bench::registry::{self, Load, Locks, Nodes, Options, Peer, Programs, Scenario};

const PROGRAM: &str = env!("CARGO_BIN_EXE_trellis-bench");

fn options(scenario: Scenario) -> Result<Options> {
    // Says how the platform is built if it is missing.
    crate::programs()?;
    Ok(Options {
        programs: Programs::around(Path::new(PROGRAM))?,
        scenarios: vec![scenario],
        loads: vec![Load::Many, Load::Beats, Load::Write, Load::Register],
        peers: vec![Peer::Ours],
        time: Duration::from_millis(300),
        warm_up: Duration::from_millis(100),
        rounds: 2,
        connections: 8,
        share_cores: false,
        watchers: 150,
        changes: 3,
        instances: 500,
        nodes: Nodes {
            nodes: 2,
            kills: 2,
            // Each of the four ways to ask is one's.
            clients: 4,
            pause: Duration::from_millis(500),
            think: Duration::from_millis(5),
        },
        locks: Locks {
            nodes: 2,
            fighters: 8,
            locks: 12,
            faults: 6,
            pause: Duration::from_millis(500),
            // A node's lease ends meanwhile, and its sessions are taken over, or end with it.
            lasts: Duration::from_secs(12),
            lock_delay: Duration::from_millis(500),
        },
    })
}

#[tokio::test]
async fn every_load_is_answered_well() -> Result<()> {
    let folder = crate::folder()?;
    let options = options(Scenario::Throughput)?;
    let report = registry::run(&options, folder.path()).await?;
    let told = format!("{report:#?}\nlogs: {}", folder.path().display());
    assert_eq!(report.throughput.len(), options.loads.len(), "{told}");
    for loaded in &report.throughput {
        for sample in &loaded.rows[0].rounds {
            assert!(sample.answered > 0 && sample.failed == 0, "{told}");
        }
    }
    // Nobody to compare with.
    assert_eq!(report.targets, [], "{told}");
    assert!(registry::table(&report).contains("registrations of new instances"));
    Ok(folder.close()?)
}

#[tokio::test]
async fn every_watcher_hears_of_every_change_once() -> Result<()> {
    let folder = crate::folder()?;
    let options = options(Scenario::Watch)?;
    // Whoever hears of one twice, or never, makes it fail.
    let report = registry::run(&options, folder.path()).await?;
    let told = format!("{report:#?}\nlogs: {}", folder.path().display());
    assert!(report.watch_failed.is_empty(), "{told}");
    let connections: Vec<usize> = report.watch.iter().map(|row| row.connections).collect();
    assert_eq!(connections, [2, 2, 150], "{told}");
    assert!(report.watch.iter().all(|row| row.max_ms >= row.p50_ms && row.p50_ms > 0.0), "{told}");
    Ok(folder.close()?)
}

#[tokio::test]
async fn a_start_with_instances_ends_with_a_right_answer() -> Result<()> {
    let folder = crate::folder()?;
    let report = registry::run(&options(Scenario::Size)?, folder.path()).await?;
    let size = report.size.as_ref().unwrap();
    assert_eq!((size.instances, size.starts_ms.len()), (500, 3), "{report:#?}");
    assert!(size.rss_mb > 0.0, "{report:#?}");
    Ok(folder.close()?)
}

#[tokio::test]
async fn a_killed_node_loses_nothing_acknowledged() -> Result<()> {
    let folder = crate::folder()?;
    let report = registry::run(&options(Scenario::Nodes)?, folder.path()).await?;
    let told = format!("{}\nlogs: {}", registry::table(&report), folder.path().display());
    let nodes = report.nodes.as_ref().unwrap();
    assert!(report.is_whole(), "{told}");
    assert_eq!(nodes.serves_again_ms.len(), 2, "{told}");
    let counts = &nodes.counts;
    assert!(counts.discoveries > 0 && counts.cut_off_discoveries > 0, "{told}");
    assert_eq!(counts.discoveries_by.len(), 4, "every door: {told}");
    assert!(counts.registrations > 0 && counts.writes > 0 && counts.beats > 0, "{told}");
    assert_eq!(counts.failed_beats, 0, "{told}");
    Ok(folder.close()?)
}

#[tokio::test]
async fn a_lock_is_never_held_twice_whatever_is_killed_or_cut_off() -> Result<()> {
    let folder = crate::folder()?;
    let report = registry::run(&options(Scenario::Locks)?, folder.path()).await?;
    let told = format!("{}\nlogs: {}", registry::table(&report), folder.path().display());
    let fought = report.locks.as_ref().unwrap();
    assert!(report.is_whole(), "{told}");
    assert_eq!(fought.faults.len(), 6, "{told}");
    let counts = &fought.counts;
    assert!(counts.grants > 50 && counts.refusals > 0 && counts.renewals > 0, "{told}");
    assert!(counts.untimed > 0 && counts.untimed < counts.sessions, "of both kinds: {told}");
    assert!(fought.ended_with_nodes > 0, "{told}");
    assert!(counts.unanswered > 0 && counts.fenced > 0 && counts.looks > 0, "{told}");
    Ok(folder.close()?)
}

#[tokio::test]
async fn a_missing_peer_is_told_before_anything_is_measured() -> Result<()> {
    let folder = crate::folder()?;
    let mut options = options(Scenario::Throughput)?;
    options.peers = vec![Peer::Rnacos];
    options.programs.rnacos = folder.path().join("none");
    let error = registry::run(&options, folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("cargo install rnacos") && error.contains("--only"), "{error}");
    Ok(folder.close()?)
}
