//! kill -9, on services and on the platform itself.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use trellis_sdk::core::Phase;
use trellis_testkit::{PlatformOptions, wait_until};

use crate::kinds::{PATIENCE, Shop, problem};

fn order() -> Value {
    json!({ "user_id": 1, "items": [{ "sku": "mouse", "quantity": 1 }], "payment_token": "tok_ok" })
}

/// A killed module stays away for a while, so that its absence can be seen.
fn slow_restarts() -> PlatformOptions {
    PlatformOptions::shop().set("defaults.restart.backoff", "3s")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_does_not_take_others_along() -> Result<()> {
    let shop = Shop::with(slow_restarts()).await?;
    let killed = shop.kill_module("users").await?;
    wait_until("its absence is known", PATIENCE, async || {
        // One that is sent before the death is noticed waits in the socket that the next process inherits.
        let call = shop.get("/api/users").timeout(Duration::from_millis(200));
        call.send().await.is_ok_and(|answer| answer.status == 503)
    })
    .await?;
    let refused = shop.get("/api/users").send().await?;
    problem(&refused, 503, "TRL1003")?;
    assert!(refused.header("retry-after").is_some());
    for path in ["/api/orders", "/api/inventory", "/api/payments", "/api/notifications"] {
        shop.fetch(path).await?;
    }
    shop.wait_restarted(&killed, PATIENCE).await?;
    wait_until("it answers", PATIENCE, async || shop.fetch("/api/users").await.is_ok()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_cannot_be_paid_leaves_nothing() -> Result<()> {
    let shop = Shop::with(slow_restarts().set("defaults.env.ORDERS_PATIENCE", "500ms")).await?;
    let place = || shop.post("/api/orders").header("Idempotency-Key", "k").json(&order());
    let killed = shop.kill_module("payments").await?;
    let refused = place().send().await?;
    problem(&refused, 503, "SHOP1010")?;
    wait_until("the stock is back", PATIENCE, async || {
        shop.fetch("/api/inventory/mouse").await.is_ok_and(|mouse| mouse["available"] == 10_000)
    })
    .await?;

    // The same request, until it is placed: the key is free as soon as all is taken back.
    shop.wait_restarted(&killed, PATIENCE).await?;
    wait_until("the order is placed", PATIENCE, async || {
        let Ok(answer) = place().send().await else { return false };
        assert!([201, 409, 503].contains(&answer.status), "{}", answer.text());
        answer.status == 201
    })
    .await?;
    assert_eq!(shop.fetch("/api/inventory/mouse").await?["available"], 9999);
    let completed = shop.fetch("/api/orders?status=completed").await?;
    assert_eq!(completed.as_array().map(Vec::len), Some(2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_the_platform_was_killed() -> Result<()> {
    for phase in [Phase::Microservices, Phase::ServiceMesh, Phase::Monolith] {
        let mut shop = Shop::on_sqlite(phase).await?;
        let stop = AtomicBool::new(false);
        let clients = (0..8).map(|client| place_until(&shop, client, &stop));
        let kill = async {
            wait_until("orders come in", PATIENCE, async || {
                shop.fetch("/api/orders?status=completed")
                    .await
                    .is_ok_and(|o| o.as_array().is_some_and(|o| o.len() > 10))
            })
            .await?;
            stop.store(true, Ordering::Relaxed);
            kill_now(&shop)
        };
        let (acknowledged, killed) = tokio::join!(join_all(clients), kill);
        killed?;
        let acknowledged: BTreeSet<i64> = acknowledged.into_iter().flatten().collect();
        // Fails if a process is left behind.
        shop.platform().kill().await?;
        shop.platform().start_again().await?;
        settle(&shop, &acknowledged).await.with_context(|| phase.to_string())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_live_through_the_death_of_every_service() -> Result<()> {
    for phase in [Phase::Microservices, Phase::ServiceMesh] {
        orders_outlive_services(&Shop::on_sqlite(phase).await?).await.with_context(|| phase.to_string())?;
    }
    Ok(())
}

async fn orders_outlive_services(shop: &Shop) -> Result<()> {
    let stop = AtomicBool::new(false);
    let clients = (0..20).map(|client| place_until(shop, client, &stop));
    let kill = async {
        for module in ["inventory", "payments", "orders", "users", "notifications"] {
            let killed = shop.kill_module(module).await?;
            shop.wait_restarted(&killed, PATIENCE).await?;
            if shop.proxy(module).await.is_ok() {
                let killed = shop.kill_proxy(module).await?;
                shop.wait_restarted(&killed, PATIENCE).await?;
            }
        }
        stop.store(true, Ordering::Relaxed);
        Ok::<_, anyhow::Error>(())
    };
    let (acknowledged, killed) = tokio::join!(join_all(clients), kill);
    killed?;
    let acknowledged: BTreeSet<i64> = acknowledged.into_iter().flatten().collect();
    settle(shop, &acknowledged).await
}

/// Kills the platform's process alone; what it started is to end by itself.
fn kill_now(shop: &Shop) -> Result<()> {
    let pid = shop.pid().context("it runs")?;
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process number")?;
    Ok(kill_process(pid, Signal::KILL)?)
}

/// Places one order after the other, each with a key of its own that is used again after a failure, as a careful client
/// does; the ids of those that were acknowledged.
async fn place_until(shop: &Shop, client: usize, stop: &AtomicBool) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let key = format!("client-{client}-{number}");
        while !stop.load(Ordering::Relaxed) {
            let call = shop.post("/api/orders").header("Idempotency-Key", &key).json(&order());
            let Ok(answer) = call.send().await else { continue };
            if answer.status == 201 {
                acknowledged.extend(answer.json::<Value>().ok().and_then(|order| order["id"].as_i64()));
                break;
            }
            assert!([409, 502, 503, 504].contains(&answer.status), "{}: {}", answer.status, answer.text());
            tokio::task::yield_now().await;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

/// Waits until nothing is under way; then stock, money and orders agree, and nothing acknowledged is missing.
async fn settle(shop: &Shop, acknowledged: &BTreeSet<i64>) -> Result<()> {
    wait_until("nothing is under way", PATIENCE, async || {
        // Bob's demo order stays.
        let pending = all(shop, "/api/orders?status=pending&limit=200").await;
        let authorised = all(shop, "/api/payments?limit=200").await;
        pending.is_ok_and(|pending| pending.len() == 1)
            && authorised.is_ok_and(|all| all.iter().all(|payment| payment["status"] != "authorised"))
    })
    .await?;
    let completed = all(shop, "/api/orders?status=completed&limit=200").await?;
    let ids: BTreeSet<i64> = completed.iter().filter_map(|order| order["id"].as_i64()).collect();
    assert!(acknowledged.is_subset(&ids), "lost: {:?}", acknowledged - &ids);
    let mut mice = 0;
    for id in ids.iter().filter(|id| **id != 1) {
        mice += shop.fetch(&format!("/api/orders/{id}")).await?["items"][0]["quantity"]
            .as_i64()
            .unwrap_or_default();
    }
    assert_eq!(shop.fetch("/api/inventory/mouse").await?["available"], 10_000 - mice, "stock");
    let payments = all(shop, "/api/payments?limit=200").await?;
    let captured: Vec<f64> = payments
        .iter()
        .filter(|payment| payment["status"] == "captured")
        .filter_map(|payment| payment["amount"].as_f64())
        .collect();
    let earned: f64 = completed.iter().filter_map(|order| order["amount"].as_f64()).sum();
    assert_eq!((captured.len(), captured.iter().sum::<f64>()), (completed.len(), earned), "payments");
    Ok(())
}

/// Every page of a list.
async fn all(shop: &Shop, path: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(here) = next {
        let answer = shop.get(&here).send().await?.expect(200)?;
        items.extend(answer.json::<Vec<Value>>()?);
        next = crate::kinds::next_page(&here, &answer);
    }
    Ok(items)
}
