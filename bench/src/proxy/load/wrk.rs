//! `wrk`: HTTP/1.1 with or without TLS, from one thread. It reports through a script of ours.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Run, tool};
use crate::proxy::peers::find;

const SCRIPT: &str = include_str!("wrk.lua");

/// Which paths are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Paths {
    /// The path of the address.
    One,
    /// `/r00000/x` and so on, this many, at random.
    Random(usize),
    /// The last of this many.
    Last(usize),
}

/// What the script prints.
#[derive(Deserialize)]
struct Report {
    requests: u64,
    micros: u64,
    p50: u64,
    p99: u64,
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
    status: u64,
}

/// Loads `url` for `time`.
pub(super) async fn run(
    url: &str,
    paths: Paths,
    connections: usize,
    time: Duration,
    folder: &Path,
) -> Result<Run> {
    let script = folder.join("wrk.lua");
    std::fs::write(&script, SCRIPT).with_context(|| format!("cannot write {}", script.display()))?;
    let mut wrk = tokio::process::Command::new(find("wrk", "wrk")?);
    wrk.args(["-t1", &format!("-c{connections}"), &format!("-d{}s", time.as_secs().max(1))]);
    wrk.arg("-s").arg(&script).args([url, "--"]);
    match paths {
        Paths::One => {}
        Paths::Random(count) => _ = wrk.arg(count.to_string()),
        Paths::Last(count) => _ = wrk.args([&count.to_string(), "last"]),
    }
    parse(&tool(&mut wrk, time).await?)
}

fn parse(output: &str) -> Result<Run> {
    let line = output.lines().find(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("wrk did not report, but said:\n{output}"))?;
    let report: Report = serde_json::from_str(line).with_context(|| format!("wrk reported {line}"))?;
    Ok(Run {
        requests: report.requests,
        failed: report.connect + report.read + report.write + report.timeout + report.status,
        seconds: report.micros as f64 / 1e6,
        p50_us: report.p50,
        p99_us: report.p99,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_found_in_what_wrk_says() {
        let output = "Running 5s test @ http://127.0.0.1:9009/\n  1 threads and 64 connections\n  Thread Stats   Avg\n246810 requests in 5.00s, 40.00MB read\nRequests/sec:  49362.00\nTransfer/sec:      8.00MB\n{\"requests\":246810,\"micros\":5000000,\"p50\":1100,\"p99\":4800,\"connect\":1,\"read\":2,\"write\":3,\"timeout\":4,\"status\":5}\n";
        let run = parse(output).unwrap();
        assert_eq!((run.requests, run.failed, run.p50_us, run.p99_us), (246_810, 15, 1100, 4800));
        assert!((run.seconds - 5.0).abs() < 1e-9);
    }

    #[test]
    fn what_wrk_says_instead_of_a_report_is_shown() {
        let error =
            parse("unable to connect to 127.0.0.1:9009 Connection refused\n").unwrap_err().to_string();
        assert!(error.contains("Connection refused"), "{error}");
    }
}
