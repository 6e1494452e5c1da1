//! A registry with its door open, and a client.

use std::io::Read as _;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use trellis_core::error::Result as CoreResult;
use trellis_eureka::Options;
use trellis_registry::{Handle, Service, Topic};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::Store;
use trellis_storage::members::{self, Members};

/// The wall clock of all tests, in Unix milliseconds.
const START: i64 = 1_700_000_000_000;
pub(crate) const JSON: &str = "application/json";
pub(crate) const XML: &str = "application/xml";

/// A registry on a database of its own, and its door.
pub(crate) struct Door {
    pub(crate) registry: Handle,
    pub(crate) clock: WallClock,
    router: Router,
    store: Store,
    shutdown: Shutdown,
    task: JoinHandle<CoreResult<()>>,
    dir: TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::open_with(trellis_registry::Options::default()).await
    }

    pub(crate) async fn open_with(options: trellis_registry::Options) -> Self {
        Self::open_in(TempDir::new().unwrap(), options).await
    }

    /// One that goes on where an earlier one stopped.
    pub(crate) async fn open_in(dir: TempDir, options: trellis_registry::Options) -> Self {
        let clock = WallClock::fixed(START);
        let database = trellis_storage::Options::sqlite(&dir.path().join("platform.db"));
        let store = Store::open(database).await.unwrap();
        let (_members, member) = Members::join(&store, members::Options::new("test", "")).await.unwrap();
        let (service, registry) = Service::new(options, store.clone(), clock.clone(), member).await.unwrap();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        let router = trellis_eureka::router(Options::default(), registry.clone());
        // A window that begins before the registry did would be answered with the whole list.
        clock.set(START + 3_600_000);
        Self { registry, clock, router, store, shutdown, task, dir }
    }

    /// Stops it; what is on disk stays.
    pub(crate) async fn close(self) -> TempDir {
        self.shutdown.trigger();
        self.task.await.unwrap().unwrap();
        self.store.close().await;
        self.dir
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    pub(crate) async fn call(&self, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header(header::ACCEPT, JSON);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).await
    }

    pub(crate) async fn get_xml(&self, path: &str) -> Answer {
        self.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn put(&self, path: &str) -> u16 {
        self.call(Method::PUT, path).await.status
    }

    pub(crate) async fn delete(&self, path: &str) -> u16 {
        self.call(Method::DELETE, path).await.status
    }

    pub(crate) async fn post(&self, path: &str, media: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(Method::POST).uri(path).header(header::CONTENT_TYPE, media);
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Registers an instance as [`instance`] makes it.
    pub(crate) async fn register(&self, app: &str, id: &str, status: &str) {
        self.announce(app, &instance(app, id, status)).await;
    }

    pub(crate) async fn announce(&self, app: &str, instance: &Value) {
        let answer = self.post(&format!("/eureka/apps/{app}"), JSON, instance.to_string()).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// One member of an instance.
    pub(crate) async fn member(&self, app: &str, id: &str, name: &str) -> Value {
        let answer = self.get(&format!("/eureka/apps/{app}/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["instance"][name].clone()
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, holds: impl Fn(&Handle) -> bool) {
        let waiting = async {
            let mut index = self.registry.index();
            while !holds(&self.registry) {
                let wait = Duration::from_millis(200);
                index = self.registry.watch_topic(&Topic::All, index, wait).await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it did not come to that");
    }
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.headers[header::CONTENT_TYPE], JSON, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn unpacked(&self) -> String {
        assert_eq!(self.headers[header::CONTENT_ENCODING], "gzip");
        let mut plain = String::new();
        flate2::read::GzDecoder::new(self.body.as_slice()).read_to_string(&mut plain).unwrap();
        plain
    }
}

/// An instance as Spring Cloud Netflix announces one.
pub(crate) fn instance(app: &str, id: &str, status: &str) -> Value {
    json!({"instance": {
        "instanceId": id,
        "hostName": "orders.local",
        "app": app.to_uppercase(),
        "ipAddr": "10.0.0.7",
        "status": status,
        "overriddenStatus": "UNKNOWN",
        "port": {"$": 8080, "@enabled": "true"},
        "securePort": {"$": 443, "@enabled": "false"},
        "countryId": 1,
        "dataCenterInfo": {
            "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn",
        },
        "leaseInfo": {
            "renewalIntervalInSecs": 30, "durationInSecs": 90, "registrationTimestamp": 0,
            "lastRenewalTimestamp": 0, "evictionTimestamp": 0, "serviceUpTimestamp": 0,
        },
        "metadata": {"management.port": "8080", "zone": "eu-1"},
        "homePageUrl": "http://orders.local:8080/",
        "statusPageUrl": "http://orders.local:8080/actuator/info",
        "healthCheckUrl": "http://orders.local:8080/actuator/health",
        "vipAddress": app.to_lowercase(),
        "secureVipAddress": app.to_lowercase(),
        "isCoordinatingDiscoveryServer": "false",
        "lastUpdatedTimestamp": "1700000000001",
        "lastDirtyTimestamp": "1700000000002",
    }})
}

/// The same as [`instance`], in XML as Netflix' client writes it.
pub(crate) fn xml(app: &str, id: &str, status: &str) -> String {
    let upper = app.to_uppercase();
    format!(
        r#"<?xml version="1.0"?>
<instance>
  <instanceId>{id}</instanceId><hostName>orders.local</hostName><app>{upper}</app><ipAddr>10.0.0.7</ipAddr>
  <status>{status}</status><overriddenstatus>UNKNOWN</overriddenstatus>
  <port enabled="true">8080</port><securePort enabled="false">443</securePort><countryId>1</countryId>
  <dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name></dataCenterInfo>
  <leaseInfo><renewalIntervalInSecs>30</renewalIntervalInSecs><durationInSecs>90</durationInSecs></leaseInfo>
  <metadata><management.port>8080</management.port><zone>eu-1</zone></metadata>
  <homePageUrl>http://orders.local:8080/</homePageUrl>
  <statusPageUrl>http://orders.local:8080/actuator/info</statusPageUrl>
  <healthCheckUrl>http://orders.local:8080/actuator/health</healthCheckUrl>
  <vipAddress>{app}</vipAddress><secureVipAddress>{app}</secureVipAddress>
  <isCoordinatingDiscoveryServer>false</isCoordinatingDiscoveryServer>
  <lastUpdatedTimestamp>1700000000001</lastUpdatedTimestamp><lastDirtyTimestamp>1700000000002</lastDirtyTimestamp>
</instance>"#
    )
}
