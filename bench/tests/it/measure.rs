//! The measurement itself works and its figures hang together. What they are depends on the machine, and is no test.

use std::time::Duration;

use anyhow::Result;

use trellis_bench::measure::{self, Options};
use trellis_bench::platform::Phase;

#[tokio::test]
async fn a_short_measurement_tells_every_figure() -> Result<()> {
    let folder = crate::folder()?;
    let options = Options {
        starts: 1,
        clients: 4,
        warm_up: Duration::from_millis(200),
        time: Duration::from_secs(2),
        rest: Duration::from_millis(200),
    };
    let report = measure::run(&crate::programs()?, folder.path(), Phase::Microservices, &options).await?;
    assert!(report.orders > 0 && report.latency.p50_ms > 0.0, "{report:?}");
    assert_eq!((report.fresh_starts_ms.len(), report.later_starts_ms.len()), (1, 1));
    let names: Vec<&str> = report.processes.iter().map(|process| process.name.as_str()).collect();
    for name in
        ["trellis", "guardian", "users-1", "orders-1", "inventory-1", "payments-1", "notifications-1", "load"]
    {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert!(report.processes.iter().all(|process| process.idle.pss_kib > 0), "{report:?}");
    Ok(folder.close()?)
}
