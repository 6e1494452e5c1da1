use std::collections::HashMap;
use std::time::Duration;

use http::{Method, Request};
use tokio::sync::watch;
use tokio::time::Instant;
use trellis_net::client::Reply;
use trellis_net::cluster::{Call, Flight};
use trellis_net::{Cluster, ClusterOptions, Outgoing};
use trellis_resilience::{BalancerOptions, Policy, SlowStart};

use crate::support::{Moody, cluster_with, endpoint, request, set};

const LONG: Duration = Duration::from_secs(10);

fn by(policy: Policy) -> ClusterOptions {
    let balancer = BalancerOptions { policy, ..BalancerOptions::default() };
    ClusterOptions { balancer, ..ClusterOptions::default() }
}

async fn instance(cluster: &Cluster, hash: Option<u64>) -> String {
    let mut request = Request::get("/").body(Outgoing::empty()).unwrap();
    let mut flight = Flight::default();
    let call = Call { hash, ..Call::once(0, Instant::now() + LONG) };
    let reply = cluster.send(call, &mut request, &mut flight).await.unwrap();
    assert!(matches!(reply, Reply::Answer(_)));
    flight.instance().unwrap().to_string()
}

async fn homes(cluster: &Cluster) -> HashMap<u64, String> {
    let mut homes = HashMap::new();
    for key in 0..60_u64 {
        homes.insert(key, instance(cluster, Some(key.wrapping_mul(0x9e37_79b9_7f4a_7c15))).await);
    }
    homes
}

#[tokio::test]
async fn keys_stay_where_they_are_when_others_come_and_go() {
    let server = Moody::new(200).await;
    let members = |ids: &[usize]| set(ids.iter().map(|n| endpoint(*n, server.address)).collect());
    let (sender, watch) = watch::channel(members(&[0, 1, 2, 3]));
    let cluster = Cluster::new("svc".parse().unwrap(), &watch, by(Policy::RingHash));
    let before = homes(&cluster).await;
    assert_eq!(homes(&cluster).await, before);
    assert!((0..4).all(|n| before.values().any(|home| *home == format!("i-{n}"))));
    sender.send(members(&[0, 1, 3])).unwrap();
    let after = homes(&cluster).await;
    for (key, home) in &before {
        assert!(home == "i-2" || after[key] == *home, "{key} moved from {home} to {}", after[key]);
    }
    sender.send(members(&[0, 1, 2, 3])).unwrap();
    assert_eq!(homes(&cluster).await, before);
}

#[tokio::test]
async fn ones_own_zone_comes_first() {
    let server = Moody::new(200).await;
    let in_zone =
        |n, zone: &str| trellis_core::Endpoint { zone: Some(zone.into()), ..endpoint(n, server.address) };
    let (near, far) = (in_zone(0, "a"), in_zone(1, "b"));
    let (sender, watch) = watch::channel(set(vec![near, far.clone()]));
    let mut options = by(Policy::LeastRequest);
    options.balancer.zone = Some("a".into());
    let cluster = Cluster::new("svc".parse().unwrap(), &watch, options);
    for _ in 0..20 {
        assert_eq!(instance(&cluster, None).await, "i-0");
    }
    sender.send(set(vec![far])).unwrap();
    assert_eq!(instance(&cluster, None).await, "i-1");
}

#[tokio::test]
async fn a_new_one_gets_its_share_little_by_little() {
    let server = Moody::new(200).await;
    let (sender, watch) = watch::channel(set(vec![endpoint(0, server.address)]));
    let slow_start = Some(SlowStart { window: Duration::from_hours(1), min: 0.1, aggression: 1.0 });
    let cluster =
        Cluster::new("svc".parse().unwrap(), &watch, ClusterOptions { slow_start, ..by(Policy::Random) });
    instance(&cluster, None).await;
    sender.send(set(vec![endpoint(0, server.address), endpoint(1, server.address)])).unwrap();
    let mut to_new = 0;
    for _ in 0..300 {
        to_new += u32::from(instance(&cluster, None).await == "i-1");
    }
    // A tenth of an equal share is one in eleven: 27.
    assert!((1..90).contains(&to_new), "{to_new}");
}

#[tokio::test]
async fn one_that_fails_looks_slow() {
    let (bad, good) = (Moody::new(503).await, Moody::new(200).await);
    let cluster = cluster_with(&[bad.address, good.address], by(Policy::PeakEwma));
    for _ in 0..50 {
        cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
    }
    assert!(bad.asked() <= 2);
    let report = cluster.report();
    let ewma = |n: usize| report.members[n].ewma.unwrap();
    assert!(ewma(1) < Duration::from_secs(1), "{report:?}");
}

#[tokio::test]
async fn another_weight_keeps_what_is_known() {
    let server = Moody::new(200).await;
    let (sender, watch) = watch::channel(set(vec![endpoint(0, server.address)]));
    let cluster = Cluster::new("svc".parse().unwrap(), &watch, ClusterOptions::default());
    instance(&cluster, None).await;
    assert_eq!(cluster.idle_connections(), 1);
    sender.send(set(vec![trellis_core::Endpoint { weight: 7, ..endpoint(0, server.address) }])).unwrap();
    instance(&cluster, None).await;
    let report = cluster.report();
    assert_eq!((report.idle_connections, report.members[0].weight), (1, 7));
}
