//! What is done at the door: header changes, `cors`, `compression`, `rate_limit`, `fault`

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use trellis_core::model;
use trellis_resilience::FaultPolicy;

use super::Compiler;
use super::matchers::header_name;
use crate::edge::compress::{Compression, CompressionOptions};
use crate::edge::cors::{Cors, CorsOptions};
use crate::mistake::key;
use crate::table::{Fault, HeaderEdits, Key, RateLimit};

/// Headers that say how a message goes over a connection: not the route's.
const OF_THE_CONNECTION: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Compiler<'_> {
    /// `request_headers` or `response_headers`.
    pub(super) fn edits(&mut self, at: &str, edits: Option<&model::HeaderEdits>) -> Option<HeaderEdits> {
        let edits = edits?;
        let mut pairs = |name: &str, table: &std::collections::BTreeMap<String, String>| {
            let pairs = table.iter().filter_map(|(header, value)| {
                let at = key(&format!("{at}.{name}"), header);
                let name = self.mistakes.take(&at, editable(header));
                let value = HeaderValue::try_from(value.as_str())
                    .map_err(|_| format!("{value:?} cannot be the value of a header"));
                name.zip(self.mistakes.take(&at, value))
            });
            pairs.collect::<Vec<_>>()
        };
        let (set, add) = (pairs("set", &edits.set), pairs("add", &edits.add));
        let remove = edits.remove.iter().enumerate();
        let remove = remove
            .filter_map(|(n, header)| self.mistakes.take(format!("{at}.remove[{n}]"), editable(header)));
        Some(HeaderEdits { remove: remove.collect(), set, add })
    }

    /// None where nobody is let in.
    pub(super) fn cors(&mut self, at: &str, cors: &model::Cors) -> Option<Arc<Cors>> {
        let before = self.mistakes.len();
        for (n, origin) in
            cors.origins.iter().enumerate().filter(|(_, origin)| *origin != "*" && !is_origin(origin))
        {
            let message = format!(
                "{origin:?} is not an origin: write \"https://app.example\", without a path, or \"*\""
            );
            self.mistakes.add(format!("{at}.origins[{n}]"), message);
        }
        if cors.credentials && cors.origins.iter().any(|origin| origin == "*") {
            self.mistakes.add(
                format!("{at}.credentials"),
                "every site could act for its visitors: name the origins instead of \"*\"",
            );
        }
        for (n, method) in cors.methods.iter().enumerate().filter(|(_, method)| {
            method.parse::<Method>().is_err() || *method != &method.to_ascii_uppercase()
        }) {
            self.mistakes
                .add(format!("{at}.methods[{n}]"), format!("{method:?} is not a method, such as \"GET\""));
        }
        for (list, names) in [("headers", &cors.headers), ("expose", &cors.expose)] {
            for (n, name) in names.iter().enumerate().filter(|(_, name)| *name != "*") {
                self.mistakes.take(format!("{at}.{list}[{n}]"), header_name(name));
            }
        }
        if cors.origins.is_empty() || self.mistakes.len() > before {
            return None;
        }
        self.mistakes.take(at, Cors::compile(&CorsOptions::from(cors))).map(Arc::new)
    }

    /// None where nothing is compressed.
    pub(super) fn compression(
        &mut self,
        at: &str,
        compression: &model::Compression,
    ) -> Option<Arc<Compression>> {
        let before = self.mistakes.len();
        let is_type = |text: &str| {
            text.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains('/'))
                && text.bytes().all(|b| b.is_ascii_graphic() && b != b';')
        };
        for (n, text) in compression.types.iter().enumerate().filter(|(_, text)| !is_type(text)) {
            self.mistakes.add(
                format!("{at}.types[{n}]"),
                format!("{text:?} is not a content type, such as \"application/json\" or \"text/*\""),
            );
        }
        for (n, algorithm) in compression.algorithms.iter().enumerate() {
            if compression.algorithms[..n].contains(algorithm) {
                self.mistakes.add(format!("{at}.algorithms[{n}]"), "this one is there twice");
            }
        }
        if compression.algorithms.is_empty() || self.mistakes.len() > before {
            return None;
        }
        self.mistakes.take(at, Compression::compile(&CompressionOptions::from(compression))).map(Arc::new)
    }

    pub(super) fn rate_limits(&mut self, at: &str, limits: &[model::RateLimit]) -> Box<[RateLimit]> {
        let limits = limits.iter().enumerate().map(|(n, limit)| {
            let at = format!("{at}.rate_limit[{n}]");
            if limit.requests == 0 {
                self.mistakes.add(format!("{at}.requests"), "0 would refuse every request: use at least 1");
            }
            if limit.burst == Some(0) {
                self.mistakes.add(format!("{at}.burst"), "0 would refuse every request: use at least 1");
            }
            self.longer_than_zero(format!("{at}.per"), Some(limit.per));
            if limit.shared.as_ref().is_some_and(|url| !is_redis(url)) {
                self.mistakes.add(
                    format!("{at}.shared"),
                    "this is not a redis:// URL, such as \"redis://127.0.0.1:6379\"",
                );
            }
            RateLimit {
                key: self.hash_key(format!("{at}.key"), limit.key.as_deref()),
                requests: limit.requests,
                per: limit.per.into(),
                burst: limit.burst.unwrap_or(limit.requests),
                shared: limit.shared.as_deref().map(Into::into),
            }
        });
        limits.collect()
    }

    pub(super) fn fault(&mut self, at: &str, fault: &model::Fault) -> Fault {
        if fault.delay.is_none() && fault.abort.is_none() {
            self.mistakes.add(at, "nothing goes wrong: say `delay`, `abort` or both");
        }
        self.longer_than_zero(format!("{at}.delay"), fault.delay);
        let abort = fault.abort.and_then(|status| {
            let valid = StatusCode::from_u16(status).ok().filter(|s| (400..600).contains(&s.as_u16()));
            let valid = valid.ok_or_else(|| format!("{status} is not a status of a failure: use 400 to 599"));
            self.mistakes.take(format!("{at}.abort"), valid)
        });
        let policy = FaultPolicy {
            delay: fault.delay.map(|delay| (delay.into(), fault.delay_share.get())),
            abort: abort.map(|status| (status.as_u16(), fault.abort_share.get())),
        };
        Fault { policy, when: self.condition(format!("{at}.when"), fault.when.as_deref()) }
    }

    pub(super) fn hash_key(&mut self, at: String, source: Option<&str>) -> Option<Key> {
        source.and_then(|source| self.mistakes.take(at, Key::compile(source)))
    }
}

fn editable(text: &str) -> Result<HeaderName, String> {
    let name = header_name(text)?;
    match name.as_str() {
        "host" => Err("the host is changed with `host_rewrite`".into()),
        own if OF_THE_CONNECTION.contains(&own) => {
            Err(format!("{own:?} belongs to the connection and is set by the gateway"))
        }
        _ => Ok(name),
    }
}

fn is_origin(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        let is_plain = uri.path_and_query().is_none_or(|path| path.as_str() == "/") && !text.ends_with('/');
        let has_host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        is_plain && has_host && uri.scheme().is_some()
    })
}

/// Whether it is a URL that can be connected to: TLS to Redis is not built in.
fn is_redis(url: &str) -> bool {
    url.starts_with("redis://") && redis::Client::open(url).is_ok()
}
