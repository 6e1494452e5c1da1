//! `[[cluster]]` and `retry`: values that do not fit together.

use http::uri::{Authority, PathAndQuery};
use trellis_core::HumanDuration;
use trellis_core::model::{self, ClusterEndpoint};

use super::Compiler;
use crate::table::MethodSet;

impl<'m> Compiler<'m> {
    /// Checks `[[cluster]]`.
    pub(super) fn clusters(&mut self) {
        let model = self.model;
        for (index, cluster) in model.cluster.iter().enumerate() {
            let at = format!("cluster[{index}]");
            self.endpoints(&at, cluster);
            self.waits(&at, cluster);
            self.hashing(&at, cluster);
            self.health(&at, cluster);
            if let Some(tls) = &cluster.tls
                && tls.cert.is_some() != tls.key.is_some()
            {
                self.mistakes.add(format!("{at}.tls"), "`cert` and `key` belong together: give both or none");
            }
            if let Some(adaptive) =
                cluster.adaptive_concurrency.as_ref().filter(|adaptive| adaptive.min > adaptive.max)
            {
                let message = format!("the least, {}, is more than the most, {}", adaptive.min, adaptive.max);
                self.mistakes.add(format!("{at}.adaptive_concurrency"), message);
            }
            if let Some(retry) = &cluster.retry {
                self.retry(&format!("{at}.retry"), retry);
            }
            if let Some(breaker) = &cluster.breaker {
                self.breaker(&format!("{at}.breaker"), breaker);
            }
            if self.clusters.insert(&cluster.name, cluster).is_some() {
                self.mistakes
                    .add(format!("{at}.name"), format!("there is a cluster {:?} already", cluster.name));
            }
            if let Some(service) = &cluster.service {
                self.service_policy(&at, service, cluster);
            }
        }
    }

    fn service_policy(
        &mut self,
        at: &str,
        service: &'m trellis_core::ServiceName,
        cluster: &'m model::Cluster,
    ) {
        let at = format!("{at}.service");
        self.known_service(&at, service);
        if let Some(first) = self.policies.insert(service, cluster) {
            let message = format!("{service:?} has the policy of the cluster {:?} already", first.name);
            self.mistakes.add(at, message);
        }
    }

    fn endpoints(&mut self, at: &str, cluster: &model::Cluster) {
        match (cluster.endpoints.is_empty(), &cluster.service) {
            (true, None) => self.mistakes.add(
                format!("{at}.endpoints"),
                "a cluster needs at least one \"host:port\", or `service` for a service of the registry",
            ),
            (false, Some(_)) => {
                self.mistakes.add(at, "exactly one of `endpoints` and `service` says what is in it");
            }
            _ => {}
        }
        for (n, endpoint) in cluster.endpoints.iter().map(ClusterEndpoint::address).enumerate() {
            if !is_host_and_port(endpoint) {
                let message = format!("{endpoint:?} is not \"host:port\", such as \"127.0.0.1:9000\"");
                self.mistakes.add(format!("{at}.endpoints[{n}]"), message);
            }
        }
        if !cluster.endpoints.is_empty() && cluster.endpoints.iter().all(|endpoint| endpoint.weight() == 0) {
            self.mistakes
                .add(format!("{at}.endpoints"), "no endpoint has a weight: one of them must take requests");
        }
    }

    fn hashing(&mut self, at: &str, cluster: &model::Cluster) {
        self.hash_key(format!("{at}.hash"), cluster.hash.as_deref());
        match (&cluster.hash, cluster.balance.hashes()) {
            (None, true) => self.mistakes.add(
                format!("{at}.balance"),
                "says nothing without `hash`: what equal requests have in common, such as hash = 'request.address'",
            ),
            (Some(_), false) => self.mistakes.add(
                format!("{at}.hash"),
                "means nothing here: only `ring_hash` and `maglev` balance by it",
            ),
            _ => {}
        }
    }

    fn health(&mut self, at: &str, cluster: &model::Cluster) {
        let Some(health) = &cluster.health else { return };
        let at = format!("{at}.health");
        let named = [health.path.is_some(), health.grpc.is_some(), health.tcp];
        if named.into_iter().filter(|named| *named).count() != 1 {
            self.mistakes.add(&at, "exactly one of `path`, `grpc` and `tcp` says how instances are asked");
        }
        if health
            .path
            .as_ref()
            .is_some_and(|path| !path.starts_with('/') || path.parse::<PathAndQuery>().is_err())
        {
            self.mistakes.add(format!("{at}.path"), "this is not a path that begins with \"/\"");
        }
        if health.grpc.is_some() && cluster.protocol != model::Protocol::Http2 {
            self.mistakes.add(format!("{at}.grpc"), "gRPC needs protocol = \"http2\"");
        }
    }

    fn waits(&mut self, at: &str, cluster: &model::Cluster) {
        let mut waits = vec![("timeout", cluster.timeout), ("connect_timeout", cluster.connect_timeout)];
        if let Some(health) = &cluster.health {
            waits.extend([
                ("health.interval", Some(health.interval)),
                ("health.timeout", Some(health.timeout)),
            ]);
        }
        if let Some(outlier) = &cluster.outlier {
            waits.extend([
                ("outlier.interval", Some(outlier.interval)),
                ("outlier.base_ejection", Some(outlier.base_ejection)),
                ("outlier.max_ejection", Some(outlier.max_ejection)),
            ]);
            if outlier.max_ejection < outlier.base_ejection {
                self.mistakes.add(
                    format!("{at}.outlier.max_ejection"),
                    "`max_ejection` is shorter than `base_ejection`",
                );
            }
        }
        waits.extend(cluster.slow_start.as_ref().map(|slow| ("slow_start.window", Some(slow.window))));
        for (name, wait) in waits {
            self.longer_than_zero(format!("{at}.{name}"), wait);
        }
    }

    pub(super) fn breaker(&mut self, at: &str, breaker: &model::BreakerModel) {
        self.longer_than_zero(format!("{at}.open_for"), Some(breaker.open_for));
        if let Some(window) = &breaker.window {
            self.longer_than_zero(format!("{at}.window.period"), Some(window.period));
            self.more_than_nothing(format!("{at}.window.failure_share"), window.failure_share);
        }
    }

    /// Checks `retry`, wherever it stands.
    pub(super) fn retry(&mut self, at: &str, retry: &model::Retry) {
        self.longer_than_zero(format!("{at}.per_try_timeout"), retry.per_try_timeout);
        if retry.max_backoff < retry.backoff {
            self.mistakes.add(format!("{at}.max_backoff"), "`max_backoff` is shorter than `backoff`");
        }
        for (n, status) in
            retry.statuses.iter().enumerate().filter(|(_, status)| !(400..600).contains(*status))
        {
            let message = format!("{status} is not a status of a failure: use 400 to 599");
            self.mistakes.add(format!("{at}.statuses[{n}]"), message);
        }
        for (n, method) in retry.methods.iter().enumerate() {
            self.mistakes.take(format!("{at}.methods[{n}]"), MethodSet::named(method));
        }
    }

    /// A time in which something happens.
    pub(super) fn longer_than_zero(&mut self, at: String, given: Option<HumanDuration>) {
        if given.is_some_and(|HumanDuration(time)| time.is_zero()) {
            self.mistakes.add(at, "no time at all means nothing here: use at least 1ms");
        }
    }

    fn more_than_nothing(&mut self, at: String, share: trellis_core::Share) {
        if share == trellis_core::Share::NONE {
            self.mistakes.add(at, "every request would count: use more than 0");
        }
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let has_port = authority.port_u16().is_some_and(|port| port > 0);
    has_port && !authority.host().is_empty() && !text.contains('@')
}
