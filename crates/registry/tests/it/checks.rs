//! Active checks through the whole of the service: with a prober of the test's, and with the real one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tempfile::TempDir;
use trellis_registry::{
    Asked, CheckAnswer, CheckDefinition, CheckKind, CheckStatus, CheckTls, HttpCheck, Lease, NetProber,
    Options, Prober, Registration, Service, ServiceKey, Topic,
};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::Store;

use crate::support::{id, managed, name};

/// Says what the test says, and counts.
#[derive(Default)]
struct Told {
    says: Mutex<HashMap<String, CheckStatus>>,
    under_way: Mutex<(usize, usize)>,
}

impl Prober for Told {
    fn ask<'a>(&'a self, check: &'a CheckDefinition) -> Asked<'a> {
        Box::pin(async move {
            let enter = |by: isize| {
                let mut counts = self.under_way.lock().unwrap();
                counts.0 = counts.0.saturating_add_signed(by);
                counts.1 = counts.1.max(counts.0);
            };
            enter(1);
            tokio::time::sleep(Duration::from_millis(50)).await;
            enter(-1);
            let status = self.says.lock().unwrap().get(&*check.id).copied();
            CheckAnswer { status: status.unwrap_or(CheckStatus::Passing), output: "told".into() }
        })
    }
}

fn checked(instance: &str, check: CheckDefinition) -> Registration {
    Registration { lease: Lease::None, checks: vec![check], ..managed(instance, "a") }
}

#[tokio::test]
async fn so_many_at_once_and_no_more_and_what_they_find_counts() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(trellis_storage::Options::sqlite(&dir.path().join("p.db"))).await.unwrap();
    let told = Arc::new(Told::default());
    let options = Options { max_parallel_checks: 4, ..Options::default() };
    let (service, handle) = Service::with_prober(
        options,
        store.clone(),
        WallClock::fixed(0),
        crate::support::alone(&store).await,
        told.clone(),
    )
    .await
    .unwrap();
    let shutdown = Shutdown::new();
    let task = tokio::spawn(service.run(shutdown.clone()));
    for n in 0..40 {
        let check = CheckDefinition::new(format!("c-{n}"), CheckKind::Tcp("10.0.0.1:9".into()));
        handle.admit(checked(&format!("a-{n}"), check)).await.unwrap();
    }
    // Only now: the database's own limits are in real time.
    tokio::time::pause();
    let topic = Topic::Service(ServiceKey::of(name("a")));
    let until = async |up: usize| {
        while handle.discover(&name("a")).len() != up {
            let index = handle.topic_index(&topic);
            if handle.discover(&name("a")).len() != up {
                handle.watch_topic(&topic, index, Duration::from_mins(1)).await.unwrap();
            }
        }
    };
    until(40).await;
    told.says.lock().unwrap().insert("c-7".into(), CheckStatus::Critical);
    until(39).await;
    told.says.lock().unwrap().clear();
    until(40).await;
    assert!(told.under_way.lock().unwrap().1 <= 4);
    assert!(handle.stats().check_runs >= 40 && handle.stats().wakes > 0);
    tokio::time::resume();
    shutdown.trigger();
    task.await.unwrap().unwrap();
    store.close().await;
}

#[tokio::test]
async fn the_real_prober_reads_answers_as_consul_does() {
    let router = Router::new()
        .route("/ok", get(|| async { "fine" }))
        .route("/busy", get(|| async { StatusCode::TOO_MANY_REQUESTS }))
        .route("/bad", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    tokio::spawn(trellis_net::serve(
        listener,
        router,
        trellis_net::ServeOptions::default(),
        shutdown.clone(),
    ));
    let ask = async |kind: CheckKind| NetProber::default().ask(&CheckDefinition::new("c", kind)).await;
    let http = |path: &str| {
        CheckKind::Http(HttpCheck {
            url: format!("http://{address}{path}").into(),
            method: "".into(),
            headers: vec![("x-check".into(), "1".into())],
            body: "".into(),
            tls: CheckTls::default(),
        })
    };
    let fine = ask(http("/ok")).await;
    assert_eq!(fine.status, CheckStatus::Passing, "{fine:?}");
    assert!(fine.output.contains("200") && fine.output.contains("fine"));
    assert_eq!(ask(http("/busy")).await.status, CheckStatus::Warning);
    assert_eq!(ask(http("/bad")).await.status, CheckStatus::Critical);
    assert_eq!(ask(CheckKind::Tcp(address.to_string().into())).await.status, CheckStatus::Passing);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(ask(CheckKind::Tcp(nobody.to_string().into())).await.status, CheckStatus::Critical);
    let command = |script: &str| {
        let args = ["/bin/sh", "-c", script].map(Into::into).to_vec();
        CheckKind::Command(trellis_registry::CommandCheck { args, env: trellis_registry::Labels::default() })
    };
    let warned = ask(command("echo low; exit 1")).await;
    assert_eq!((warned.status, warned.output.as_str()), (CheckStatus::Warning, "low\n"));
    assert_eq!(ask(command("exit 2")).await.status, CheckStatus::Critical);
    shutdown.trigger();
}

#[tokio::test]
async fn commands_are_refused_unless_they_are_let_in() {
    let dir = TempDir::new().unwrap();
    let database = trellis_storage::Options::sqlite(&dir.path().join("p.db"));
    let registry = crate::support::Running::start(database, Options::default()).await;
    let command = trellis_registry::CommandCheck {
        args: vec!["/bin/true".into()],
        env: trellis_registry::Labels::default(),
    };
    let check = CheckDefinition::new("c", CheckKind::Command(command));
    let refused = registry.handle.admit(checked("a-1", check)).await.unwrap_err();
    assert!(refused.to_string().contains("[registry] commands"), "{refused}");
    assert!(registry.handle.instance(&id("a-1")).is_err());
    registry.stop().await;
}
