//! `h2load`: unary gRPC calls over HTTP/2, from one thread. Times come from its log of every request.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Run, percentile, tool};
use crate::proxy::peers::find;

/// A gRPC message: not compressed, 16 bytes long.
pub(in crate::proxy) const MESSAGE: &[u8] = b"\0\0\0\0\x10sixteen bytes!!!";
/// The method that is called.
pub(in crate::proxy) const METHOD: &str = "/bench.Echo/Unary";
/// Most connections; the calls share them as gRPC clients share theirs.
const MOST_CONNECTIONS: usize = 8;

/// Loads `address` with `calls` at once for `time`.
pub(super) async fn run(address: &str, calls: usize, time: Duration, folder: &Path) -> Result<Run> {
    let (message, log) = (folder.join("message.grpc"), folder.join("h2load.log"));
    std::fs::write(&message, MESSAGE).with_context(|| format!("cannot write {}", message.display()))?;
    // h2load adds to a log that is there.
    std::fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
    let connections = calls.min(MOST_CONNECTIONS);
    let mut h2load = tokio::process::Command::new(find("h2load", "nghttp2-client")?);
    h2load.args(["-t1", &format!("-c{connections}"), &format!("-m{}", calls.div_ceil(connections))]);
    h2load.arg(format!("-D{}", time.as_secs().max(1)));
    h2load.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
    h2load.arg("-d").arg(&message);
    h2load.arg("--log-file").arg(&log).arg(format!("http://{address}{METHOD}"));
    let output = tool(&mut h2load, time).await?;
    let log = std::fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    parse(&output, &log)
}

/// What the log and the summary tell.
fn parse(output: &str, log: &str) -> Result<Run> {
    let mut micros = Vec::new();
    let mut failed = 0;
    for line in log.lines() {
        // When it began, its status, how long it took.
        let mut fields = line.split('\t').skip(1);
        let (status, took) = (fields.next(), fields.next().and_then(|took| took.parse::<u64>().ok()));
        match (status, took) {
            (Some("200"), Some(took)) => micros.push(took),
            _ => failed += 1,
        }
    }
    let seconds = seconds(output).with_context(|| format!("h2load did not report, but said:\n{output}"))?;
    micros.sort_unstable();
    let (p50_us, p99_us) = (percentile(&micros, 0.5), percentile(&micros, 0.99));
    Ok(Run { requests: micros.len() as u64, failed, seconds, p50_us, p99_us })
}

/// `finished in 5.00s, 30000.00 req/s, 1.00MB/s`
fn seconds(output: &str) -> Option<f64> {
    let rest = output.lines().find_map(|line| line.strip_prefix("finished in "))?;
    let time = rest.split(',').next()?;
    match time.strip_suffix("ms") {
        Some(milliseconds) => Some(milliseconds.parse::<f64>().ok()? / 1e3),
        None => time.strip_suffix('s')?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "starting benchmark...\nspawning thread #0: 8 total client(s)\n\nfinished in 5.01s, 31234.00 req/s, 1.92MB/s\nrequests: 4 total, 4 started, 4 done, 3 succeeded, 1 failed, 0 errored, 0 timeout\n";

    #[test]
    fn the_log_of_every_request_is_read() {
        let log = "1700000000000001\t200\t900\n1700000000000002\t200\t1100\n1700000000000003\t503\t10\n1700000000000004\t-1\t5\n1700000000000004\t200\t1000\n";
        let run = parse(OUTPUT, log).unwrap();
        assert_eq!((run.requests, run.failed, run.p50_us, run.p99_us), (3, 2, 1000, 1100));
        assert!((run.seconds - 5.01).abs() < 1e-9);
    }

    #[test]
    fn what_h2load_says_instead_of_a_report_is_shown() {
        let error = parse("client could not connect to host\n", "").unwrap_err().to_string();
        assert!(error.contains("could not connect"), "{error}");
        assert_eq!(seconds("finished in 12.50ms, 1 req/s"), Some(0.0125));
    }

    #[test]
    fn the_message_is_framed_as_grpc_wants_it() {
        let length = u32::from_be_bytes(MESSAGE[1..5].try_into().unwrap());
        assert_eq!((MESSAGE[0], length as usize), (0, MESSAGE.len() - 5));
    }
}
