//! What is different about the shop when a proxy stands beside every module.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use trellis_sdk::core::Phase;
use trellis_testkit::{PlatformOptions, wait_until};

use crate::kinds::{PATIENCE, Shop, problem};

fn mesh() -> PlatformOptions {
    PlatformOptions::shop().phase(Phase::ServiceMesh)
}

/// What the proxy of a module has carried in one direction.
async fn carried(shop: &Shop, module: &str, direction: &str) -> Result<u64> {
    let url = format!("http://127.0.0.1:{}/v1/proxy", shop.proxy(module).await?.port);
    let shown: Value = shop.http().call(http::Method::GET, url).send().await?.expect(200)?.json()?;
    shown[direction]["requests"].as_u64().context("a count")
}

fn order() -> Value {
    json!({ "user_id": 1, "items": [{ "sku": "mouse", "quantity": 1 }], "payment_token": "tok_ok" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_from_proxy_to_proxy() -> Result<()> {
    let shop = Shop::with(mesh()).await?;
    let before = (carried(&shop, "orders", "outbound").await?, carried(&shop, "users", "inbound").await?);
    shop.post("/api/orders").json(&order()).send().await?.expect(201)?;
    assert!(carried(&shop, "orders", "outbound").await? >= before.0 + 3, "users, inventory, payments");
    assert!(carried(&shop, "users", "inbound").await? > before.1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_is_away_is_the_same_error_as_without_proxies() -> Result<()> {
    let mut said = Vec::new();
    for phase in [Phase::Microservices, Phase::ServiceMesh] {
        let options = PlatformOptions::shop()
            .phase(phase)
            .set("defaults.restart.backoff", "20s")
            .set("defaults.env.ORDERS_PATIENCE", "500ms");
        let shop = Shop::with(options).await?;
        shop.kill_module("users").await?;
        // The gateway knows at once, and orders a moment later.
        wait_until("its absence is known", PATIENCE, async || {
            let refused = shop.post("/api/orders").json(&order()).send().await;
            refused.is_ok_and(|answer| answer.status == 503 && !answer.text().contains("in time"))
        })
        .await?;
        let refused = shop.post("/api/orders").json(&order()).send().await?;
        let problem = problem(&refused, 503, "SHOP1010").with_context(|| phase.to_string())?;
        said.push(problem["detail"].clone());
    }
    assert_eq!(said, ["users has no healthy instance; nothing was ordered"; 2]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_proxy_takes_nobody_along_and_comes_back() -> Result<()> {
    let shop = Shop::with(mesh().set("defaults.restart.backoff", "2s")).await?;
    let module = shop.module("users").await?;
    let killed = shop.kill_proxy("users").await?;
    wait_until("its absence is known", PATIENCE, async || {
        // One that is sent before the death is noticed waits in the socket that the next proxy inherits.
        let call = shop.get("/api/users").timeout(Duration::from_millis(200));
        call.send().await.is_ok_and(|answer| answer.status == 503)
    })
    .await?;
    for path in ["/api/orders", "/api/inventory", "/api/payments", "/api/notifications"] {
        shop.fetch(path).await?;
    }
    shop.wait_restarted(&killed, PATIENCE).await?;
    wait_until("it answers", PATIENCE, async || shop.fetch("/api/users").await.is_ok()).await?;
    assert_eq!(shop.module("users").await?.pid, module.pid, "the module itself went on");
    shop.post("/api/orders").json(&order()).send().await?.expect(201)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_of_microservices_is_that_of_the_mesh() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let shop = |phase| Shop::with(PlatformOptions::shop().phase(phase).data_dir(folder.path()));
    let user = json!({ "name": "Carol", "email": "carol@example.com" });
    let mut first = shop(Phase::Microservices).await?;
    let made: Value = first.post("/api/users").json(&user).send().await?.expect(201)?.json()?;
    first.platform().stop().await?;
    let mut second = shop(Phase::ServiceMesh).await?;
    assert_eq!(second.fetch(&format!("/api/users/{}", made["id"])).await?["name"], "Carol");
    second.platform().stop().await?;
    Ok(())
}
