//! Where a route leads.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use trellis_core::ServiceName;
use trellis_core::model;
use trellis_resilience::{RetryPolicy, Split};

use super::Compiler;
use super::matchers::Asked;
use super::template::{Known, location, rewrite};
use crate::table::{Canary, Destination, Forward, Mirror, Target};

/// The keys of which a route has one.
const ONE_OF: &str = "exactly one of `service`, `cluster`, `split`, `aggregate`, `redirect` and `respond` says what \
                      becomes of the request";

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

impl<'m> Compiler<'m> {
    /// What becomes of a request. `known` is what its path gives, if that is not mistaken.
    pub(super) fn target(
        &mut self,
        at: &str,
        route: &'m model::Route,
        known: Option<&Known<'_>>,
    ) -> Option<Target> {
        let named = [
            route.service.is_some(),
            route.cluster.is_some(),
            !route.split.is_empty(),
            route.aggregate.is_some(),
            route.redirect.is_some(),
            route.respond.is_some(),
        ];
        if named.into_iter().filter(|named| *named).count() != 1 {
            self.mistakes.add(at, ONE_OF);
            return None;
        }
        if let Some(aggregate) = &route.aggregate {
            self.meaningless(at, route, "an aggregation forwards no request");
            let timeout = route.timeout.unwrap_or(self.model.gateway.timeout).into();
            return self.aggregate(&format!("{at}.aggregate"), aggregate, timeout).map(Target::Aggregate);
        }
        if let Some(redirect) = &route.redirect {
            self.meaningless(at, route, "a redirect forwards no request");
            return self.redirect(&format!("{at}.redirect"), redirect, known);
        }
        if let Some(respond) = &route.respond {
            self.meaningless(at, route, "the gateway answers itself and forwards no request");
            return self.respond(&format!("{at}.respond"), respond);
        }
        self.forward(at, route, known).map(Target::Forward)
    }

    /// Settings that only say something about requests that are sent on.
    fn meaningless(&mut self, at: &str, route: &model::Route, why: &str) {
        for (field, given) in [
            ("rewrite", route.rewrite.is_some()),
            ("host_rewrite", route.host_rewrite.is_some()),
            ("request_headers", route.request_headers.is_some()),
            ("max_body_bytes", route.max_body_bytes.is_some()),
            ("retry", route.retry.is_some()),
            ("sticky", route.sticky.is_some()),
            ("canary", !route.canary.is_empty()),
            ("mirror", route.mirror.is_some()),
            ("websocket", route.websocket.is_some()),
            ("timeout", route.timeout.is_some() && route.aggregate.is_none()),
        ] {
            if given {
                self.mistakes.add(format!("{at}.{field}"), format!("means nothing here: {why}"));
            }
        }
    }

    fn forward(&mut self, at: &str, route: &'m model::Route, known: Option<&Known<'_>>) -> Option<Forward> {
        let before = self.mistakes.len();
        if let Some(retry) = &route.retry {
            self.retry(&format!("{at}.retry"), retry);
        }
        let retry = route.retry.as_ref().map(|retry| Arc::new(RetryPolicy::from(retry)));
        let mut split = Vec::new();
        if route.split.is_empty() {
            let to = (route.service.as_ref(), route.cluster.as_ref());
            split.extend(self.destination(at, to, route, retry.as_ref()));
        }
        for (index, item) in route.split.iter().enumerate() {
            let at = format!("{at}.split[{index}]");
            let to = (item.service.as_ref(), item.cluster.as_ref());
            self.one_of_both(&at, to);
            split.extend(self.destination(&at, to, route, retry.as_ref()));
        }
        if !route.split.is_empty() && route.split.iter().all(|item| item.weight == 0) {
            self.mistakes.add(format!("{at}.split"), "no item has a weight: one of them must take requests");
        }
        if route.sticky.is_some() && route.split.is_empty() {
            self.mistakes.add(format!("{at}.sticky"), "means nothing here: there is no `split` to stay with");
        }
        let sticky = self.hash_key(format!("{at}.sticky"), route.sticky.as_deref());
        let canary = self.canaries(at, route, retry.as_ref());
        let mirror = route.mirror.as_ref().and_then(|m| self.mirror(&format!("{at}.mirror"), m));
        let rewrite = match (&route.rewrite, known) {
            (Some(text), Some(known)) => {
                self.mistakes.take(format!("{at}.rewrite"), rewrite(text, known.captured, known.has_tail))
            }
            _ => None,
        };
        let host = route.host_rewrite.as_ref();
        let host = host.and_then(|text| self.mistakes.take(format!("{at}.host_rewrite"), authority(text)));
        let websocket = route.websocket.unwrap_or(true);
        let is_whole = self.mistakes.len() == before && known.is_some();
        is_whole.then(|| Forward {
            split: split.into(),
            weights: Self::weights(route),
            sticky,
            canary,
            mirror,
            rewrite,
            host,
            websocket,
        })
    }

    /// How the items of a split share the requests, by their names.
    fn weights(route: &'m model::Route) -> Split {
        let name = |item: &'m model::Weighted| item.service.as_ref().or(item.cluster.as_ref());
        Split::new(route.split.iter().map(|item| (name(item).map_or("", ServiceName::as_str), item.weight)))
    }

    /// A route to `upstream` without anything of its own.
    pub(super) fn simply(&self, upstream: usize) -> Forward {
        Forward {
            split: [self.to(upstream, None, None)].into(),
            weights: Split::new([("", 1)]),
            sticky: None,
            canary: Box::default(),
            mirror: None,
            rewrite: None,
            host: None,
            websocket: true,
        }
    }

    fn destination(
        &mut self,
        at: &str,
        (service, cluster): (Option<&'m ServiceName>, Option<&'m ServiceName>),
        route: &model::Route,
        retry: Option<&Arc<RetryPolicy>>,
    ) -> Option<Destination> {
        let upstream = self.upstream(at, service, cluster)?;
        Some(self.to(upstream, route.timeout.map(Duration::from), retry))
    }

    /// The route's settings, else the cluster's, else the gateway's.
    fn to(
        &self,
        upstream: usize,
        timeout: Option<Duration>,
        retry: Option<&Arc<RetryPolicy>>,
    ) -> Destination {
        let settings = &self.table.upstreams[upstream].settings;
        let timeout = timeout.or(settings.timeout.map(Duration::from));
        let gateway = &self.model.gateway;
        let common = || {
            let retry = settings.retry.as_ref().or(gateway.retry.as_ref());
            retry.map(|retry| Arc::new(RetryPolicy::from(retry)))
        };
        let retry = retry.cloned().or_else(common);
        let timeout = timeout.unwrap_or(gateway.timeout.into());
        Destination { upstream, timeout, retry: retry.filter(|retry| retry.max_retries > 0) }
    }

    fn canaries(
        &mut self,
        at: &str,
        route: &'m model::Route,
        retry: Option<&Arc<RetryPolicy>>,
    ) -> Box<[Canary]> {
        let mut canaries = Vec::new();
        for (index, canary) in route.canary.iter().enumerate() {
            let at = format!("{at}.canary[{index}]");
            let to = (canary.service.as_ref(), canary.cluster.as_ref());
            self.one_of_both(&at, to);
            if canary.header.is_empty() && canary.cookie.is_empty() && canary.when.is_none() {
                self.mistakes
                    .add(&at, "it would take every request: say which with `header`, `cookie` or `when`");
            }
            let matchers = self.matchers(&at, &Asked::from(canary));
            let to = self.destination(&at, to, route, retry);
            canaries.extend(matchers.zip(to).map(|(matchers, to)| Canary { matchers, to }));
        }
        canaries.into()
    }

    fn mirror(&mut self, at: &str, mirror: &'m model::Mirror) -> Option<Mirror> {
        let to = (mirror.service.as_ref(), mirror.cluster.as_ref());
        self.one_of_both(at, to);
        let upstream = self.upstream(at, to.0, to.1)?;
        Some(Mirror { upstream, share: mirror.share, max_body_bytes: mirror.max_body_bytes })
    }

    /// Says so unless one of a service and a cluster is named.
    pub(super) fn one_of_both(&mut self, at: &str, to: (Option<&ServiceName>, Option<&ServiceName>)) {
        if to.0.is_some() == to.1.is_some() {
            self.mistakes.add(at, "exactly one of `service` and `cluster` says where it leads");
        }
    }

    fn redirect(
        &mut self,
        at: &str,
        redirect: &model::Redirect,
        known: Option<&Known<'_>>,
    ) -> Option<Target> {
        let status = StatusCode::from_u16(redirect.status).ok().filter(|s| REDIRECTS.contains(&s.as_u16()));
        let status = status.ok_or_else(|| {
            format!("{} sends nobody elsewhere: use 301, 302, 303, 307 or 308", redirect.status)
        });
        let status = self.mistakes.take(format!("{at}.status"), status);
        let to =
            self.mistakes.take(format!("{at}.to"), location(&redirect.to, known?.captured, known?.has_tail));
        Some(Target::Redirect { status: status?, to: to? })
    }

    fn respond(&mut self, at: &str, respond: &model::Respond) -> Option<Target> {
        let status = StatusCode::from_u16(respond.status).ok().filter(|s| (200..600).contains(&s.as_u16()));
        let status =
            status.ok_or_else(|| format!("{} is not a status of an answer: use 200 to 599", respond.status));
        let status = self.mistakes.take(format!("{at}.status"), status);
        let content_type = HeaderValue::try_from(respond.content_type.as_str());
        let content_type = content_type.ok().filter(|_| respond.content_type.contains('/'));
        let content_type = content_type.ok_or_else(|| {
            format!("{:?} is not a content type, such as \"text/plain\"", respond.content_type)
        });
        let content_type = self.mistakes.take(format!("{at}.content_type"), content_type);
        let is_bodiless = matches!(respond.status, 204 | 205 | 304);
        if is_bodiless && !respond.body.is_empty() {
            self.mistakes
                .add(format!("{at}.body"), format!("an answer with status {} has no body", respond.status));
        }
        Some(Target::Respond {
            status: status?,
            body: respond.body.clone().into(),
            content_type: content_type?,
        })
    }
}

fn authority(text: &str) -> Result<HeaderValue, String> {
    let is_authority = text.parse::<http::uri::Authority>().is_ok() && !text.contains('@');
    let value = HeaderValue::try_from(text).ok().filter(|_| is_authority);
    value.ok_or_else(|| format!("{text:?} is not a host with an optional port, such as \"x.internal\""))
}
