//! From rounds to figures: medians over rounds, and ratios that are taken within a round, where both sides had the same
//! machine.

use serde::Serialize;

/// One window of load on one proxy.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sample {
    /// Requests that were answered.
    pub requests: u64,
    /// Requests and connections that failed.
    pub failed: u64,
    /// Requests in a second.
    pub per_second: f64,
    /// Half were answered faster.
    pub p50_ms: f64,
    /// 99 in a hundred were answered faster.
    pub p99_ms: f64,
    /// Processor time of the proxy for one request, user and system, in microseconds.
    pub cpu_us: f64,
    /// Resident memory of all its processes after the load; a page that two share counts twice.
    pub rss_mb: f64,
    /// The same with shared pages shared out.
    pub pss_mb: f64,
}

/// One figure of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Requests in a second.
    PerSecond,
    /// Median latency.
    P50,
    /// 99th percentile.
    P99,
    /// Processor time for one request.
    Cpu,
    /// Resident memory.
    Rss,
    /// Proportional memory.
    Pss,
}

/// One proxy over all rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// Whose.
    pub name: String,
    /// What it says of itself.
    pub version: Option<String>,
    /// In the order they were run.
    pub rounds: Vec<Sample>,
}

impl Metric {
    /// In the order of the table.
    pub const ALL: [Self; 6] = [Self::PerSecond, Self::P50, Self::P99, Self::Cpu, Self::Rss, Self::Pss];

    /// Its key in the JSON, the same as in the sample.
    pub fn key(self) -> &'static str {
        match self {
            Self::PerSecond => "per_second",
            Self::P50 => "p50_ms",
            Self::P99 => "p99_ms",
            Self::Cpu => "cpu_us",
            Self::Rss => "rss_mb",
            Self::Pss => "pss_mb",
        }
    }

    /// This figure of a sample.
    pub fn of(self, sample: &Sample) -> f64 {
        match self {
            Self::PerSecond => sample.per_second,
            Self::P50 => sample.p50_ms,
            Self::P99 => sample.p99_ms,
            Self::Cpu => sample.cpu_us,
            Self::Rss => sample.rss_mb,
            Self::Pss => sample.pss_mb,
        }
    }
}

impl Series {
    /// The median over the rounds.
    pub fn median(&self, metric: Metric) -> f64 {
        median(self.rounds.iter().map(|sample| metric.of(sample)))
    }

    /// The median of this one's figure as a multiple of `base`'s in the same round.
    pub fn ratio(&self, base: &Self, metric: Metric) -> f64 {
        let rounds = self.rounds.iter().zip(&base.rounds);
        median(rounds.map(|(ours, theirs)| metric.of(ours) / metric.of(theirs)))
    }

    /// Failures in all rounds.
    pub fn failed(&self) -> u64 {
        self.rounds.iter().map(|sample| sample.failed).sum()
    }
}

/// The middle one, or between the two in the middle; not a number if there is none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Rounds with these CPU times; the rest is derived from them.
    pub(in crate::proxy) fn series(name: &str, cpu_us: &[f64]) -> Series {
        let sample = |cpu_us: &f64| Sample {
            requests: 1000,
            failed: 0,
            per_second: 1e6 / cpu_us,
            p50_ms: cpu_us / 20.0,
            p99_ms: cpu_us / 5.0,
            cpu_us: *cpu_us,
            rss_mb: 10.0,
            pss_mb: 5.0,
        };
        Series { name: name.into(), version: None, rounds: cpu_us.iter().map(sample).collect() }
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        near(median([9.0, 1.0, 2.0]), 2.0);
        near(median([4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was three times slower in the second round, for both.
        let (ours, theirs) = (series("ours", &[10.0, 30.0, 11.0]), series("nginx", &[20.0, 60.0, 22.0]));
        near(theirs.ratio(&ours, Metric::Cpu), 2.0);
        near(ours.ratio(&theirs, Metric::Cpu), 0.5);
        near(ours.median(Metric::Cpu), 11.0);
    }
}
