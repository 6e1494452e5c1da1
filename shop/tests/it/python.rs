//! A module that is not written in Rust runs beside those that are.

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use trellis_sdk::core::Phase;
use trellis_testkit::{PlatformOptions, python, wait_until};

use crate::kinds::{PATIENCE, Shop};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_module_runs_beside_the_others() -> Result<()> {
    // Says what to install if it is missing.
    python()?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/trellis.toml");
    for phase in [Phase::Microservices, Phase::ServiceMesh, Phase::Monolith] {
        let shop = Shop::with(PlatformOptions::new(&manifest).phase(phase)).await?;
        assert_eq!(shop.fetch("/api/users/1").await?["name"], "Alice");
        let greeted = shop.fetch("/api/greetings/Alice?times=2").await?;
        assert_eq!(greeted["greeting"], "Hello Alice, hello Alice", "{greeted}");
        assert_eq!(greeted["module"], "greetings", "it is told who it is");
        let echoed =
            shop.post("/api/greetings/echo").json(&json!({ "a": [1, 2] })).send().await?.expect(200)?;
        assert_eq!(echoed.json::<serde_json::Value>()?, json!({ "a": [1, 2] }));

        let killed = shop.kill_module("greetings").await?;
        assert_eq!(killed.modules, ["greetings"], "it has a process of its own in every phase");
        shop.wait_restarted(&killed, PATIENCE).await?;
        wait_until("it greets again", PATIENCE, async || shop.fetch("/api/greetings/Bob").await.is_ok())
            .await?;
    }
    Ok(())
}
