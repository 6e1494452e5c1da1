//! Waiting for what must come.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// Asks again and again until it is so. The error says what did not come.
pub async fn wait_until<F>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = bool>,
{
    let deadline = Instant::now() + limit;
    while !condition().await {
        anyhow::ensure!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
