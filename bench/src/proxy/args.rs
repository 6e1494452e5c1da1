//! The command line of `bench proxy`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::load::Generator;
use super::peers::{Programs, Proxy};
use super::{Changes, Options, Scenario};

/// The proxy beside its peers: requests/s, latency, processor time and memory, with ratios to ours
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench proxy
  cargo xtask bench proxy --scenario h1,grpc --only ours,nginx,floor
  cargo xtask bench proxy --rounds 9 --seconds 10 --json proxy.json

Scenarios:
  h1       HTTP/1.1 kept alive, one route            every proxy
  grpc     unary gRPC over HTTP/2, one route         every proxy
  tls      TLS 1.3 kept alive, one route             every proxy but the floor
  routes   1, 100, 1,000 and 10,000 routes           ours
  swap     10,000 routes exchanged under load        ours
  idle     memory after start and with 10,000 quiet connections   every proxy but the floor

At a fixed rate (--rate), what clients notice of changes:
  flips     1,000 routes exchanged 100 times                    ours
  rolling   20 restarts of the 3 services behind it             ours
  handover  5 successors of its process, by SIGUSR2             ours")]
pub struct Args {
    /// What is measured
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Scenario::ALL)]
    scenario: Vec<Scenario>,
    /// Who is measured
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Proxy::ALL)]
    only: Vec<Proxy>,
    /// Seconds of load on each proxy in each round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds; in each, every proxy has its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Connections of the load (calls at once for gRPC)
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=5000))]
    connections: u16,
    /// Requests in a second of flips, rolling and handover, which are sent whatever the answers do
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Milliseconds from one restart of rolling, or successor of handover, to the next
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pause: u64,
    /// Threads or processes of each proxy; as many as there are cores if not given
    #[arg(long, value_parser = at_least_one)]
    workers: Option<usize>,
    /// Write the whole report to this file
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Keep configuration files and logs in this folder, which must not exist; a temporary one otherwise
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

impl Args {
    /// What to do with `programs`.
    pub fn options(&self, programs: Programs) -> Result<Options> {
        let workers = match self.workers {
            Some(workers) => workers,
            None => std::thread::available_parallelism()?.get(),
        };
        let options = Options {
            programs,
            scenarios: in_order(&Scenario::ALL, &self.scenario),
            proxies: in_order(&Proxy::ALL, &self.only),
            generator: Generator::Tools,
            time: Duration::from_secs(self.seconds),
            warm_up: Duration::from_secs(1),
            rounds: self.rounds.into(),
            connections: self.connections.into(),
            workers,
            routes: vec![1, 100, 1000, 10_000],
            idle_connections: 10_000,
            changes: Changes {
                rate: self.rate,
                connections: self.connections.into(),
                pause: Duration::from_millis(self.pause),
                ..Changes::default()
            },
        };
        Ok(options)
    }
}

/// Those of `all` that were chosen, each once.
fn in_order<T: Copy + PartialEq>(all: &[T], chosen: &[T]) -> Vec<T> {
    all.iter().copied().filter(|one| chosen.contains(one)).collect()
}

/// A count of threads.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=256) => Ok(count),
        _ => Err("a number from 1 to 256".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn options(line: &[&str]) -> Options {
        let line = [&["bench"], line].concat();
        let programs = Programs::around(Path::new("/target/release/trellis-bench")).unwrap();
        Cli::try_parse_from(line).unwrap().args.options(programs).unwrap()
    }

    #[test]
    fn without_options_everything_is_measured() {
        let options = options(&[]);
        assert_eq!((options.scenarios, options.proxies), (Scenario::ALL.to_vec(), Proxy::ALL.to_vec()));
    }

    #[test]
    fn what_is_chosen_comes_once_and_in_our_order() {
        let options = options(&["--only", "floor,nginx,floor", "--scenario", "tls,h1", "--workers", "3"]);
        assert_eq!(options.proxies, [Proxy::Nginx, Proxy::Floor]);
        assert_eq!(options.scenarios, [Scenario::H1, Scenario::Tls]);
        assert_eq!(options.workers, 3);
        assert!(Cli::try_parse_from(["bench", "--workers", "0"]).is_err());
    }
}
