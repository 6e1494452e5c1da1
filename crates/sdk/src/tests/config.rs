//! Live configuration, against a platform of a few lines.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::watch;
use trellis_runtime::Shutdown;

use crate::{Config, ConfigOptions};

type Answers = watch::Sender<Value>;

/// Answers with what was set last, as soon as its revision is another one than the one asked with.
async fn answer(
    State(answers): State<Arc<Answers>>,
    Query(query): Query<std::collections::HashMap<String, String>>,
) -> axum::Json<Value> {
    assert_eq!((&*query["instance"], &*query["labels"]), ("orders-1", "zone=b"));
    let known: u64 = query["revision"].parse().unwrap();
    let mut watch = answers.subscribe();
    let found = watch.wait_for(|answer| answer["revision"].as_u64() != Some(known)).await.unwrap();
    axum::Json(found.clone())
}

fn item(key: &str, value: &Value, secret: bool) -> Value {
    json!({"key": key, "content_type": "application/json", "value": value, "secret": secret})
}

fn options(admin: String) -> ConfigOptions {
    let mut options = ConfigOptions::new(admin, "shop".parse().unwrap(), "dev".parse().unwrap(), "orders-1");
    options.labels = [("zone".into(), "b".into())].into();
    options
}

#[tokio::test]
async fn values_are_live_and_outlive_the_platform() {
    let first = json!({"revision": 1, "resync": true, "items": [item("max", &json!(1), false), item("pw", &json!("s3cret"), true)]});
    let answers = Arc::new(Answers::new(first));
    let app = axum::Router::new().route("/v1/config/shop/dev/watch", get(answer)).with_state(answers.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = format!("http://{}", listener.local_addr().unwrap());
    let (stop, shutdown) = (Shutdown::new(), Shutdown::new());
    let server =
        tokio::spawn(trellis_net::serve(listener, app, trellis_net::ServeOptions::default(), stop.clone()));
    let folder = tempfile::tempdir().unwrap();
    let kept =
        ConfigOptions { secrets: true, cache: Some(folder.path().join("config.json")), ..options(admin) };

    let config = Config::connect(kept.clone(), shutdown.clone()).await.unwrap();
    let mut max = config.value::<u32>("max").unwrap();
    assert_eq!((*max.get(), &**config.value::<String>("pw").unwrap().get()), (1, "s3cret"));
    assert_eq!(*config.value_or("missing", 7).unwrap().get(), 7);
    assert!(config.value::<u32>("missing").is_err() && config.value::<u32>("pw").is_err());

    answers.send_replace(json!({"revision": 2, "resync": false, "items": [item("max", &json!(2), false)]}));
    assert_eq!(*max.changed().await, 2);
    // What is not of the type, and then what is: the bad one is passed over.
    answers
        .send_replace(json!({"revision": 3, "resync": false, "items": [item("max", &json!("many"), false)]}));
    answers.send_replace(json!({"revision": 4, "resync": false, "items": [item("max", &json!(4), false)]}));
    assert_eq!(*max.changed().await, 4);

    stop.trigger();
    server.abort();
    assert_eq!((*max.get(), *config.value::<u32>("max").unwrap().get()), (4, 4), "the last value stays");
    let text = std::fs::read_to_string(kept.cache.as_ref().unwrap()).unwrap();
    assert!(!text.contains("s3cret"), "{text}");

    // A start without the platform: refused, or with what was kept.
    let away =
        ConfigOptions { admin: "http://127.0.0.1:1".into(), patience: Duration::from_millis(50), ..kept };
    assert!(Config::connect(away.clone(), shutdown.clone()).await.is_err());
    let alone = Config::connect(ConfigOptions { start_without: true, ..away }, shutdown).await.unwrap();
    assert_eq!(*alone.value::<u32>("max").unwrap().get(), 4);
}
