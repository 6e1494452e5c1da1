//! Several members on one PostgreSQL.

mod crash;
mod history;
mod holders;
mod outage;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use trellis_core::Status;
use trellis_core::error::Result as CoreResult;
use trellis_registry::{
    CheckKey, CheckOwner, CheckStatus, Handle, Lease, NODE_CHECK, Namespace, NodeRegistration, Options,
    Registration, Service, ServiceKey,
};
use trellis_runtime::{Shutdown, WallClock};
use trellis_storage::{Store, members, params};
use trellis_testkit::{Postgres, wait_until};

use crate::support::{id, managed, name};

/// How long a test waits for what must come.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
/// Long enough for a busy machine.
pub(crate) const TTL: Duration = Duration::from_secs(3);

/// A database on the server that all tests share.
pub(crate) fn database() -> (Arc<Postgres>, String) {
    let server = Postgres::shared().unwrap();
    let url = server.fresh_database().unwrap();
    (server, url)
}

/// One member with its registry.
pub(crate) struct Member {
    pub(crate) handle: Handle,
    pub(crate) members: members::Handle,
    pub(crate) store: Store,
    shutdown: Shutdown,
    registry: JoinHandle<CoreResult<()>>,
    membership: Option<JoinHandle<()>>,
}

impl Member {
    pub(crate) async fn start(url: &str) -> Self {
        Self::start_with(url, TTL, true).await
    }

    /// `renews`: its membership goes on; otherwise it ends with the first lease.
    pub(crate) async fn start_with(url: &str, ttl: Duration, renews: bool) -> Self {
        Self::start_as(url, Options::default(), ttl, renews).await
    }

    /// One whose own node has another name than that of the others.
    pub(crate) async fn start_named(url: &str, node: &str) -> Self {
        let node = NodeRegistration::new(node.parse().unwrap(), "127.0.0.1");
        Self::start_as(url, Options { node, ..Options::default() }, TTL, true).await
    }

    async fn start_as(url: &str, options: Options, ttl: Duration, renews: bool) -> Self {
        let database = trellis_storage::Options::url(url).unwrap();
        let store = Store::open(database).await.unwrap();
        let joining = members::Options { ttl, ..members::Options::new("test", "") };
        let (membership, members) = members::Members::join(&store, joining).await.unwrap();
        let options = Options { reap_interval: Duration::from_millis(20), ..options };
        let (service, handle) =
            Service::new(options, store.clone(), WallClock::system(), members.clone()).await.unwrap();
        let shutdown = Shutdown::new();
        let membership = renews.then(|| tokio::spawn(membership.run(shutdown.clone())));
        let registry = tokio::spawn(service.run(shutdown.clone()));
        Self { handle, members, store, shutdown, registry, membership }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.registry.await.unwrap().unwrap();
        if let Some(membership) = self.membership {
            membership.await.unwrap();
        }
        self.store.close().await;
    }

    pub(crate) fn status(&self, instance: &str) -> Option<Status> {
        self.handle.find(&self.handle.own_key(&id(instance))).map(|entry| entry.instance.status)
    }

    /// Waits until this member sees an instance so.
    pub(crate) async fn sees(&self, instance: &str, status: Option<Status>) {
        let what = format!("{instance} is {status:?}");
        wait_until(&what, LIMIT, || async { self.status(instance) == status }).await.unwrap();
    }

    /// Who looks after an instance, by the table.
    pub(crate) async fn holder(&self, instance: &str) -> Option<String> {
        let sql = "SELECT holder FROM registry_instances WHERE id = $1";
        self.store.fetch_optional(sql, params![instance]).await.unwrap()
    }
}

pub(crate) fn leased(instance: &str, service: &str, lease: Duration) -> Registration {
    Registration { lease: Lease::For(lease), ..managed(instance, service) }
}

pub(crate) fn long(instance: &str, service: &str) -> Registration {
    leased(instance, service, Duration::from_hours(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_member_is_told_all_know() {
    let (_server, url) = database();
    let (a, b) = (Member::start(&url).await, Member::start(&url).await);
    let mut watch = trellis_core::Discovery::watch(&b.handle, &name("a"));
    a.handle.admit(long("a-1", "a")).await.unwrap();
    let is_there = |set: &Arc<trellis_core::EndpointSet>| set.endpoints.len() == 1;
    tokio::time::timeout(LIMIT, watch.wait_for(is_there)).await.unwrap().unwrap();
    // An override at one wins at the other, and either may take it back.
    let key = a.handle.own_key(&id("a-1"));
    a.handle.override_instance(&key, Some(Status::OutOfService)).await.unwrap();
    b.sees("a-1", Some(Status::OutOfService)).await;
    b.handle.override_instance(&key, None).await.unwrap();
    a.sees("a-1", Some(Status::Up)).await;
    a.handle.override_service(&ServiceKey::of(name("a")), Some(Status::Down)).await.unwrap();
    b.sees("a-1", Some(Status::Down)).await;
    b.handle.override_service(&ServiceKey::of(name("a")), None).await.unwrap();
    b.handle.set_maintenance(&key, Some("disk")).await.unwrap();
    a.sees("a-1", Some(Status::OutOfService)).await;
    assert_eq!(a.handle.find(&key).unwrap().instance.maintenance.as_deref(), Some("disk"));
    a.handle.set_maintenance(&key, None).await.unwrap();
    b.sees("a-1", Some(Status::Up)).await;
    // What the holder is told of its liveness.
    a.handle.report(&key, Status::Down).unwrap();
    b.sees("a-1", Some(Status::Down)).await;
    b.handle.remove(&key).await.unwrap();
    a.sees("a-1", None).await;
    let reads = |set: &Arc<trellis_core::EndpointSet>| set.endpoints.is_empty();
    tokio::time::timeout(LIMIT, watch.wait_for(reads)).await.unwrap().unwrap();
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_platform_runs_is_seen_by_others_while_it_lives() {
    let (_server, url) = database();
    let (a, b) = (Member::start(&url).await, Member::start(&url).await);
    a.handle.register(managed("m-1", "a")).unwrap();
    b.sees("m-1", Some(Status::Up)).await;
    a.handle.set_status(&id("m-1"), Status::Down).unwrap();
    b.sees("m-1", Some(Status::Down)).await;
    a.handle.register(managed("m-2", "a")).unwrap();
    b.sees("m-2", Some(Status::Up)).await;
    a.handle.deregister(&id("m-2")).unwrap();
    b.sees("m-2", None).await;
    assert!(b.handle.remove(&b.handle.own_key(&id("m-1"))).await.is_err(), "only who runs it removes it");
    a.stop().await;
    b.sees("m-1", None).await;
    // One that dies is not there to say so.
    let c = Member::start_with(&url, Duration::from_secs(10), false).await;
    c.handle.register(managed("m-3", "a")).unwrap();
    b.sees("m-3", Some(Status::Up)).await;
    b.sees("m-3", None).await;
    c.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_that_a_platform_is_there_is_known_to_all() {
    let (_server, url) = database();
    let (a, b) = (Member::start_named(&url, "one").await, Member::start_named(&url, "two").await);
    let status = |member: &Member, node: &str| {
        let check = member.handle.find_check(&Namespace::default(), &node.parse().unwrap(), NODE_CHECK);
        check.map(|check| check.status)
    };
    for (member, node) in [(&a, "one"), (&a, "two"), (&b, "one"), (&b, "two")] {
        let passes = || async { status(member, node) == Some(CheckStatus::Passing) };
        wait_until("it passes", LIMIT, passes).await.unwrap();
    }
    // Nobody changes it where it is, and a platform that comes back has it again.
    let key = CheckKey { owner: CheckOwner::Node("one".parse().unwrap()), id: NODE_CHECK.into() };
    assert!(a.handle.report_check(&key, CheckStatus::Critical, "").is_err());
    a.stop().await;
    let a = Member::start_named(&url, "one").await;
    assert_eq!(status(&a, "one"), Some(CheckStatus::Passing));
    assert_eq!(status(&a, "two"), Some(CheckStatus::Passing));
    a.stop().await;
    b.stop().await;
}
