//! Waits for a quiet shop and reads everything it holds.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use crate::audit::{Attempt, Snapshot, Violation, audit};
use crate::platform::Platform;
use crate::shop::{Order, Shop};

/// Longest wait for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How often a shop that is not quiet is asked again.
const POLL: Duration = Duration::from_millis(200);
/// Connections over which single orders are read.
const READERS: usize = 16;

/// A shop in which nothing goes on any more.
pub(super) struct Quiet {
    /// How long that took.
    pub(super) after: Duration,
    /// What is wrong with it.
    pub(super) violations: Vec<Violation>,
}

/// Waits until the shop is quiet and audits it. An order is called off before all of it is given back, so the audit is
/// repeated up to `limit` if something is wrong; what is lost stays so.
pub(super) async fn quiet(
    platform: &Platform,
    before: &Snapshot,
    attempts: &[Attempt],
    limit: Duration,
) -> Result<Quiet> {
    let began = Instant::now();
    loop {
        wait(platform, before, began + limit).await?;
        let violations = audit(before, &snapshot(platform.gateway(), before).await?, attempts);
        if violations.is_empty() || began.elapsed() > limit {
            return Ok(Quiet { after: began.elapsed(), violations });
        }
        sleep(POLL * 5).await;
    }
}

/// Waits until every service is ready and no order is on its way but those that already were in `before`.
async fn wait(platform: &Platform, before: &Snapshot, deadline: Instant) -> Result<()> {
    let mut shop = Shop::new(platform.gateway(), ANSWER_LIMIT);
    let old: BTreeSet<i64> = before.orders.iter().map(|order| order.id).collect();
    loop {
        let open = if platform.all_ready().await? {
            shop.orders(Some("pending")).await
        } else {
            Err(anyhow!("a service is not ready"))
        };
        let left = open.map(|orders| orders.iter().filter(|order| !old.contains(&order.id)).count());
        if let Ok(0) = left {
            return Ok(());
        }
        if Instant::now() > deadline {
            // Pending orders are the audit's to report; a shop that cannot be read is ours.
            return left.map(|_| ()).context("the shop does not become quiet");
        }
        sleep(POLL).await;
    }
}

/// Everything the shop holds; orders that are not in `before` with their items.
pub(super) async fn snapshot(gateway: &str, before: &Snapshot) -> Result<Snapshot> {
    let mut shop = Shop::new(gateway, ANSWER_LIMIT);
    let stock = shop.stock().await?;
    let payments = shop.payments().await?;
    let orders = shop.orders(None).await?;
    let old: BTreeSet<i64> = before.orders.iter().map(|order| order.id).collect();
    let (mut known, bare): (Vec<Order>, Vec<Order>) =
        orders.into_iter().partition(|order| old.contains(&order.id) || order.items.is_some());
    known.extend(with_items(gateway, bare).await?);
    Ok(Snapshot { stock, orders: known, payments })
}

/// Reads each order on its own, over a few connections.
async fn with_items(gateway: &str, orders: Vec<Order>) -> Result<Vec<Order>> {
    let share = orders.len().div_ceil(READERS).max(1);
    let parts = orders.chunks(share).map(|part| async move {
        let mut shop = Shop::new(gateway, ANSWER_LIMIT);
        let mut read = Vec::with_capacity(part.len());
        for listed in part {
            let order = shop.order(listed.id).await?;
            ensure!(order.items.is_some(), "order {} does not tell its items", order.id);
            let same = (order.amount, &order.status, order.user_id)
                == (listed.amount, &listed.status, listed.user_id);
            ensure!(same, "order {} reads {order:?} and is listed as {listed:?}", order.id);
            read.push(order);
        }
        anyhow::Ok(read)
    });
    // Collected first: a lazy iterator of these futures is not general enough for the compiler.
    let parts: Vec<_> = parts.collect();
    let read: Vec<Vec<Order>> = stream::iter(parts).buffer_unordered(READERS).try_collect().await?;
    Ok(read.into_iter().flatten().collect())
}
