//! Doors, database, cache and settings of a hosted module.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use trellis_storage::{Migration, params};
use trellis_testkit::Redis;

use super::module::echo;
use super::support::Process;
use crate::http::{Created, Page, Reply};
use crate::{CallError, Module, Parts};

const TABLES: &[Migration] =
    &[Migration { version: 1, name: "notes", sql: "CREATE TABLE notes_note (text TEXT NOT NULL)" }];

fn notes() -> Module {
    Module::new("notes", TABLES, async |context| {
        let store = context.database()?;
        let greeting = context.settings.get("GREETING").unwrap_or("none").to_owned();
        store.execute("INSERT INTO notes_note (text) VALUES ($1)", params![greeting]).await?;
        let list = async move || -> Reply<Page<String>> {
            let items = store.fetch_all::<String>("SELECT text FROM notes_note", vec![]).await?;
            Ok(Page { items, next: Some("?cursor=x".into()) })
        };
        let create = async || Created { location: "/notes/1".into(), body: json!({ "id": 1 }) };
        Ok(Parts::new(Router::new().route("/notes", get(list).post(create)))
            .check("always wrong", || Box::pin(async { Err("as it should be".into()) })))
    })
}

async fn refusal(process: &Process, path: &str) -> Value {
    let response = process.client().get(path).send().await.unwrap();
    let bytes = trellis_net::body::collect(response.into_body(), 4096).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn a_module_has_its_database_and_settings() {
    let process = Process::start(vec![notes()], &[("GREETING", "good evening")]).await;
    let response = process.client().get("/notes").send().await.unwrap();
    assert_eq!(response.headers()["link"], "<?cursor=x>; rel=\"next\"");
    assert_eq!(process.client().get("/notes").fetch::<Vec<String>>().await.unwrap(), ["good evening"]);
    let created = process.client().post("/notes").send().await.unwrap();
    assert_eq!(
        (created.status().as_u16(), &created.headers()["location"]),
        (201, &"/notes/1".parse().unwrap())
    );
}

#[tokio::test]
async fn health_is_the_sum_of_its_checks() {
    let process = Process::start(vec![notes()], &[]).await;
    let response = process.client().get("/health").send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(
        refusal(&process, "/health").await,
        json!({ "database": "OK", "always wrong": "FAILED: as it should be" })
    );
    assert_eq!(process.client().get("/livez").fetch::<Value>().await.unwrap(), json!({ "status": "OK" }));
    let process = Process::start(vec![echo()], &[]).await;
    assert_eq!(process.client().get("/health").fetch::<Value>().await.unwrap(), json!({ "database": "OK" }));
    assert_eq!(refusal(&process, "/readyz").await["service"], "FAILED: starting");
    process.host.started();
    assert_eq!(process.client().get("/readyz").fetch::<Value>().await.unwrap()["service"], "OK");
}

#[tokio::test]
async fn a_lost_cache_shows_in_the_health_and_nowhere_else() {
    let redis = Redis::start().unwrap();
    let process = Process::start(vec![echo()], &[("REDIS_URL", redis.url().as_str())]).await;
    let cache = process.host.context("echo", true).unwrap().cache.unwrap();
    cache.set("k", b"v", std::time::Duration::from_mins(1)).await.unwrap();
    assert_eq!(cache.get("k").await.unwrap().as_deref(), Some(&b"v"[..]));
    cache.remove("k").await.unwrap();
    assert_eq!(cache.get("k").await.unwrap(), None);
    assert_eq!(
        process.client().get("/health").fetch::<Value>().await.unwrap(),
        json!({ "database": "OK", "cache": "OK" })
    );
    drop(redis);
    let lost = async {
        loop {
            let health = refusal(&process, "/health").await;
            if health["cache"].as_str().is_some_and(|c| c.starts_with("FAILED: the cache")) {
                break health;
            }
            tokio::task::yield_now().await;
        }
    };
    let health = tokio::time::timeout(std::time::Duration::from_secs(10), lost).await.unwrap();
    assert_eq!(health["database"], "OK");
    process.client().get("/list").done().await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let process = Process::start(vec![echo()], &[]).await;
    let error = process.client().get("/nothing").done().await.unwrap_err();
    assert!(
        matches!(&error, CallError::Refused { status: 404, problem } if problem.code == "TRL2004"),
        "{error:?}"
    );
    assert!(
        matches!(&error, CallError::Refused { problem, .. } if problem.request_id.is_some()),
        "{error:?}"
    );
    let error = process.client().post("/seen").done().await.unwrap_err();
    assert!(
        matches!(&error, CallError::Refused { status: 405, problem } if problem.code == "TRL1002"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_body_that_is_refused_harms_neither_its_answer_nor_the_next_request() {
    let process = Process::start(vec![echo()], &[]).await;
    let client = process.client();
    for _ in 0..10 {
        let error = client.post("/double").json(&"x".repeat(3 << 20)).done().await.unwrap_err();
        assert_eq!(error.status(), Some(413), "{error:?}");
        let error = client.post("/double").json(&json!({})).done().await.unwrap_err();
        assert_eq!(error.status(), Some(422), "{error:?}");
    }
}
