//! What a pick costs: `cargo run --release -p trellis-resilience --example picks`.
#![expect(clippy::print_stdout, reason = "a program whose output is the point")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use trellis_resilience::{Balancer, BalancerOptions, Loads, PeakEwma, Policy, Slot};

/// The fastest of so many rounds counts: the others were disturbed.
const ROUNDS: u64 = 40;
const PICKS: u64 = 50_000;
const SIZES: [usize; 3] = [3, 100, 1000];

/// A member as a gateway keeps it, behind a pointer.
struct Member {
    eligible: bool,
    outstanding: AtomicU32,
    ewma: PeakEwma,
}

struct Members {
    list: Vec<Arc<Member>>,
    now: Instant,
}

impl Loads for Members {
    fn is_eligible(&self, index: usize) -> bool {
        self.list[index].eligible
    }

    fn outstanding(&self, index: usize) -> u32 {
        self.list[index].outstanding.load(Ordering::Relaxed)
    }

    fn cost(&self, index: usize) -> f64 {
        self.list[index].ewma.cost(self.now, self.outstanding(index))
    }
}

fn main() {
    let all = [
        Policy::RoundRobin,
        Policy::Random,
        Policy::LeastRequest,
        Policy::PeakEwma,
        Policy::RingHash,
        Policy::Maglev,
    ];
    println!("ns/pick          {:>8} {:>8} {:>8}", SIZES[0], SIZES[1], SIZES[2]);
    for (what, weighted, gone, zone) in [
        ("equal weights", false, 0, None),
        ("weights 1 to 7", true, 0, None),
        ("half not eligible", false, 2, None),
        ("own zone preferred", false, 0, Some("a")),
    ] {
        println!("{what}:");
        for policy in all {
            let costs = SIZES.map(|size| cost(policy, size, weighted, gone, zone));
            println!("  {:14} {:8.1} {:8.1} {:8.1}", format!("{policy:?}"), costs[0], costs[1], costs[2]);
        }
    }
}

fn cost(policy: Policy, size: usize, weighted: bool, gone: usize, zone: Option<&str>) -> f64 {
    let ids: Vec<String> = (0..size).map(|n| format!("orders-{n}")).collect();
    let slot = |n: usize| Slot {
        id: &ids[n],
        weight: if weighted { n as u32 % 7 + 1 } else { 1 },
        zone: Some(if n.is_multiple_of(2) { "a" } else { "b" }),
    };
    let slots: Vec<Slot<'_>> = (0..size).map(slot).collect();
    let options = BalancerOptions { policy, zone: zone.map(Box::from), ..Default::default() };
    let balancer = Balancer::new(&options, &slots);
    let eligible = |n: usize| gone == 0 || n.is_multiple_of(gone);
    let start = Instant::now();
    let member = |n| {
        let ewma = PeakEwma::new(Duration::from_secs(10), Duration::from_millis(30));
        ewma.observe(Duration::from_millis(n as u64 % 7), start);
        Arc::new(Member { eligible: eligible(n), outstanding: AtomicU32::new(n as u32 % 5), ewma })
    };
    let members = Members { list: (0..size).map(member).collect(), now: start + Duration::from_secs(1) };

    let round = |round: u64| {
        let start = Instant::now();
        for n in round * PICKS..(round + 1) * PICKS {
            // A stride through all 64-bit numbers: as good as random here, and it costs nothing.
            let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            black_box(balancer.pick(&members, black_box(Some(random)), black_box(random)));
        }
        start.elapsed()
    };
    let best = (0..ROUNDS).map(round).min().unwrap_or_default();
    best.as_nanos() as f64 / PICKS as f64
}
