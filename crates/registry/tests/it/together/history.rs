//! Whatever is done at either member, in the end both show what the table has.

use std::collections::BTreeMap;

use trellis_core::Status;
use trellis_registry::{Handle, Namespace, ServiceKey};
use trellis_storage::params;
use trellis_testkit::wait_until;

use super::{LIMIT, Member, database, long};
use crate::support::id;

const CALLERS: u64 = 8;
const STEPS: u64 = 40;
const INSTANCES: u64 = 12;

/// What a member shows: service, status and reason of maintenance by id.
fn shown(handle: &Handle) -> BTreeMap<String, (String, Status, Option<String>)> {
    let catalog = handle.catalog(&Namespace::default());
    let services = catalog.services.keys().map(|service| ServiceKey::of(service.clone()));
    let entries = services.flat_map(|key| handle.snapshot(&key).entries.clone());
    entries
        .map(|entry| {
            let instance = &entry.instance;
            let reason = instance.maintenance.as_ref().map(ToString::to_string);
            let what = (instance.definition.service.to_string(), instance.status, reason);
            (instance.id().to_string(), what)
        })
        .collect()
}

/// What the table has: service and reason by id.
async fn written(member: &Member) -> BTreeMap<String, (String, Option<String>)> {
    let sql = "SELECT id, body::json->'registration'->>'service', body::json->>'maintenance' FROM registry_instances";
    let rows: Vec<(String, String, Option<String>)> = member.store.fetch_all(sql, params![]).await.unwrap();
    rows.into_iter().map(|(id, service, reason)| (id, (service, reason))).collect()
}

async fn act(handle: Handle, seed: u64) {
    let mut dice = fastrand::Rng::with_seed(seed);
    for _ in 0..STEPS {
        let instance = format!("i-{}", dice.u64(0..INSTANCES));
        let key = handle.own_key(&id(&instance));
        // Some of it is refused, since the other member removed it meanwhile; that is as it should be.
        let _refused = match dice.u8(0..7) {
            0..3 => {
                let service = ["red", "green", "blue"][dice.usize(0..3)];
                handle.admit(long(&instance, service)).await.map(drop)
            }
            3 => handle.remove(&key).await,
            4 => handle.set_maintenance(&key, Some("why")).await,
            5 => handle.set_maintenance(&key, None).await,
            _ => {
                let status = [None, Some(Status::Down)][dice.usize(0..2)];
                handle.override_instance(&key, status).await
            }
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_members_end_with_what_is_written() {
    let (_server, url) = database();
    let (a, b) = (Member::start(&url).await, Member::start(&url).await);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let handle = if caller % 2 == 0 { &a.handle } else { &b.handle };
        callers.spawn(act(handle.clone(), caller));
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    let agree = || async {
        let (table, left, right) = (written(&a).await, shown(&a.handle), shown(&b.handle));
        let bare: BTreeMap<_, _> = left
            .iter()
            .map(|(id, (service, _, reason))| (id.clone(), (service.clone(), reason.clone())))
            .collect();
        left == right && bare == table && a.handle.overrides() == b.handle.overrides()
    };
    wait_until("both show what is written", LIMIT, agree).await.unwrap();
    assert!(!shown(&a.handle).is_empty());
    // A third that comes later shows the same.
    let c = Member::start(&url).await;
    assert_eq!(shown(&c.handle), shown(&a.handle));
    for member in [a, b, c] {
        member.stop().await;
    }
}
