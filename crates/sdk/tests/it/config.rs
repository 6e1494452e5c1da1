//! Live configuration over a kill of the control plane.

use std::path::Path;
use std::time::Duration;

use http::Method;
use trellis_runtime::Shutdown;
use trellis_sdk::{Config, ConfigOptions};
use trellis_testkit::{Platform, PlatformOptions};

use crate::relay::Relay;

const LIMIT: Duration = Duration::from_mins(1);

async fn put(platform: &Platform, path: &str, value: &str) {
    let url = format!("{}/v1/config/shop/dev/keys/{path}", platform.admin());
    let call = platform.http().call(Method::PUT, url).header("content-type", "application/json");
    call.body(value.to_owned()).send().await.unwrap().expect(200).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_value_stays_while_the_platform_is_away_and_no_change_is_lost_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/it/modules/web.py");
    let manifest = folder.path().join("trellis.toml");
    let key = "one:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";
    std::fs::write(folder.path().join("keys"), key).unwrap();
    let text = format!(
        "[config]\nsecret_keys = \"keys\"\nallow_reveal = true\n[module.web]\ncommand = [{:?}]\n",
        module.display().to_string()
    );
    std::fs::write(&manifest, text).unwrap();
    let mut platform = Platform::start(PlatformOptions::new(&manifest)).await.unwrap();
    put(&platform, "max", "0").await;
    put(&platform, "pw?secret=true", "\"hunter2\"").await;

    let relay = Relay::to(platform.admin()).await;
    let shutdown = Shutdown::new();
    let (app, env) = ("shop".parse().unwrap(), "dev".parse().unwrap());
    let options = ConfigOptions::new(format!("http://{}", relay.address), app, env, "orders-1");
    let config = Config::connect(options.clone(), shutdown.clone()).await.unwrap();
    assert!(config.value::<String>("pw").is_err(), "no secret, and no mask, without asking for it");
    let with_secrets = ConfigOptions { secrets: true, ..options };
    let trusted = Config::connect(with_secrets, shutdown.clone()).await.unwrap();
    assert_eq!(**trusted.value::<String>("pw").unwrap().get(), *"hunter2");
    let mut max = config.value::<u32>("max").unwrap();
    let mut late = config.value_or::<u32>("late", 7).unwrap();
    assert_eq!((*max.get(), *late.get()), (0, 7));
    put(&platform, "max", "1").await;
    assert_eq!(*tokio::time::timeout(LIMIT, max.changed()).await.unwrap(), 1);

    for round in 0..2_u32 {
        platform.kill().await.unwrap();
        let last = 1 + 10 * round;
        assert_eq!((*max.get(), *config.value::<u32>("max").unwrap().get()), (last, last));
        platform.start_again().await.unwrap();
        // It is back, and changes are made before the service hears of it.
        put(&platform, "max", "999").await;
        put(&platform, "late", &round.to_string()).await;
        put(&platform, "max", &(last + 10).to_string()).await;
        assert_eq!(*max.get(), last, "the service does not know of it yet");
        relay.set(platform.admin());
        let wanted = last + 10;
        let arrived = async {
            while *max.changed().await != wanted {}
            while *late.get() != round {
                late.changed().await;
            }
        };
        tokio::time::timeout(LIMIT, arrived).await.unwrap();
    }
    // And live from then on.
    put(&platform, "max", "5").await;
    assert_eq!(*tokio::time::timeout(LIMIT, max.changed()).await.unwrap(), 5);
    shutdown.trigger();
    platform.stop().await.unwrap();
}
