use std::time::Duration;

use http::Method;
use trellis_net::{Cluster, ClusterOptions};
use trellis_resilience::OutlierOptions;

use crate::support::{Moody, cluster_with, eventually, request};

const LONG: Duration = Duration::from_secs(10);

fn options(outlier: OutlierOptions) -> ClusterOptions {
    ClusterOptions { outlier: Some(outlier), ..ClusterOptions::default() }
}

fn strict() -> OutlierOptions {
    OutlierOptions {
        consecutive_failures: Some(3),
        interval: Duration::from_millis(50),
        base_ejection: Duration::from_millis(500),
        max_ejected_share: 0.5,
        ..OutlierOptions::default()
    }
}

async fn ask(cluster: &Cluster) {
    cluster.call(request(Method::GET, "/"), LONG).await.unwrap();
}

fn ejected(cluster: &Cluster) -> Vec<String> {
    let members = cluster.report().members;
    members.into_iter().filter(|member| member.ejected).map(|member| member.id.to_string()).collect()
}

#[tokio::test]
async fn one_that_answers_badly_is_left_out_for_a_while() {
    let (bad, good) = (Moody::new(500).await, Moody::new(200).await);
    let cluster = cluster_with(&[bad.address, good.address], options(strict()));
    eventually("left out", async || {
        ask(&cluster).await;
        ejected(&cluster) == ["i-0"]
    })
    .await;
    assert_eq!(bad.asked(), 3);
    bad.says(200);
    eventually("back", async || {
        ask(&cluster).await;
        bad.asked() > 0
    })
    .await;
    assert!(ejected(&cluster).is_empty());
}

#[tokio::test]
async fn never_more_than_a_share_is_left_out() {
    let all = [Moody::new(500).await, Moody::new(500).await, Moody::new(500).await, Moody::new(500).await];
    let addresses: Vec<_> = all.iter().map(|one| one.address).collect();
    let outlier =
        OutlierOptions { max_ejected_share: 0.5, base_ejection: Duration::from_mins(1), ..strict() };
    let cluster = cluster_with(&addresses, options(outlier));
    for _ in 0..200 {
        ask(&cluster).await;
        assert!(ejected(&cluster).len() <= 2);
    }
    assert_eq!(ejected(&cluster).len(), 2);
}
