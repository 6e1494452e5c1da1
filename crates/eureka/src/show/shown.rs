//! An instance as Eureka's clients know one.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use trellis_core::Status;
use trellis_registry::{Entry, Instance, Lease, Name};

use crate::read::{Port, RENEWAL};
use crate::{labels, names};

/// The port with TLS of an instance that has none.
const NO_TLS: Port = Port { number: 443, enabled: false };

/// What became of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Added,
    Modified,
    Deleted,
}

/// Everything that is shown of an instance.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) id: String,
    pub(crate) app: String,
    pub(crate) host_name: Cow<'a, str>,
    pub(crate) ip_addr: Cow<'a, str>,
    pub(crate) status: Status,
    pub(crate) overridden: Option<Status>,
    pub(crate) port: Port,
    pub(crate) secure_port: Port,
    pub(crate) country: i64,
    pub(crate) data_center: &'a str,
    /// What is known of it there.
    pub(crate) data_center_metadata: Vec<(&'a str, &'a str)>,
    /// Seconds from one heartbeat to the next.
    pub(crate) renewal: i64,
    /// Seconds without one until it counts as gone.
    pub(crate) duration: i64,
    /// When it was registered, in Unix milliseconds.
    pub(crate) registered: i64,
    /// Since when it is as it is.
    pub(crate) since: i64,
    /// Its lease has ended.
    pub(crate) expired: bool,
    /// In the order of the keys.
    pub(crate) metadata: Vec<(&'a str, &'a str)>,
    /// Those of [`labels::TEXTS`] that it has, with their names.
    pub(crate) texts: Vec<(&'static str, Cow<'a, str>)>,
    pub(crate) coordinating: bool,
    pub(crate) dirty: i64,
    pub(crate) action: Action,
}

impl Action {
    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

impl<'a> Shown<'a> {
    /// An instance that is there, with its node.
    pub(crate) fn entry(entry: &'a Entry, own: &Name) -> Self {
        Self::new(&entry.instance, entry.host(), own, Action::Added)
    }

    /// An instance that is reached at `host`. `own` is the platform's own node.
    pub(crate) fn new(instance: &'a Instance, host: &'a str, own: &Name, action: Action) -> Self {
        let definition = &*instance.definition;
        let kept = &definition.metadata;
        let parsed = |label: &str| kept.get(label).and_then(|text| text.parse::<i64>().ok());
        let port = |label: &str| kept.get(label).and_then(Port::from_label);
        let duration = match definition.lease {
            Lease::For(lease) => i64::try_from(lease.as_secs()).unwrap_or(i64::MAX).max(1),
            Lease::Managed | Lease::None => 90,
        };
        let renewal = parsed(labels::RENEWAL).unwrap_or(RENEWAL.min((duration / 3).max(1)));
        let host_name = kept.get(labels::HOST_NAME);
        let of_center = |(key, value)| Some((str::strip_prefix(key, labels::DATA_CENTER_OF)?, value));
        let mut shown = Self {
            id: names::shown(instance, own),
            app: names::app(&definition.service),
            host_name: host_name.unwrap_or(host).into(),
            ip_addr: kept.get(labels::IP_ADDR).unwrap_or(host).into(),
            status: instance.status,
            overridden: instance.override_status,
            port: port(labels::PORT)
                .unwrap_or(Port { number: definition.port, enabled: definition.port > 0 }),
            secure_port: port(labels::SECURE_PORT).unwrap_or(NO_TLS),
            country: parsed(labels::COUNTRY).unwrap_or(1),
            data_center: kept.get(labels::DATA_CENTER).unwrap_or(crate::read::OWN_DATA_CENTER),
            data_center_metadata: kept.iter().filter_map(of_center).collect(),
            renewal: if kept.get(labels::RENEWAL).is_none() && host_name.is_some() {
                RENEWAL
            } else {
                renewal
            },
            duration,
            registered: instance.registered_unix_ms,
            since: instance.since_unix_ms,
            expired: instance.expired,
            metadata: kept.iter().filter(|(key, _)| !key.starts_with(labels::PREFIX)).collect(),
            texts: Vec::new(),
            coordinating: kept.get(labels::COORDINATING) == Some("true"),
            dirty: parsed(labels::DIRTY).unwrap_or(instance.since_unix_ms),
            action,
        };
        if host_name.is_some() {
            let text = |name| Some((name, kept.get(&labels::of(name))?.into()));
            shown.texts = labels::TEXTS.into_iter().filter_map(text).collect();
        } else {
            shown.make_up(host, definition.service.as_str());
            for (key, value) in [("version", &definition.version), ("zone", &definition.zone)] {
                if let (Some(value), None) = (value.as_deref(), kept.get(key)) {
                    let at = shown.metadata.partition_point(|(known, _)| *known < key);
                    shown.metadata.insert(at, (key, value));
                }
            }
        }
        shown
    }

    /// What an instance of another door would have said: its virtual host is its service, its pages are at its root,
    /// and its health at the path that modules have by default.
    fn make_up(&mut self, host: &str, service: &str) {
        if self.port.number > 0 {
            let host = match host.parse::<Ipv6Addr>() {
                Ok(address) => format!("[{address}]"),
                Err(_) => host.to_owned(),
            };
            let root = format!("http://{host}:{}/", self.port.number);
            self.texts.push(("homePageUrl", root.clone().into()));
            self.texts.push(("statusPageUrl", root.clone().into()));
            self.texts.push(("healthCheckUrl", format!("{root}health").into()));
        }
        let virtual_host = service.to_ascii_lowercase();
        self.texts.push(("vipAddress", virtual_host.clone().into()));
        self.texts.push(("secureVipAddress", virtual_host.into()));
    }

    /// Whether it is found at a virtual host. An instance may name several, with commas in between.
    pub(crate) fn has_virtual_host(&self, name: &str, is_secure: bool) -> bool {
        let field = if is_secure { "secureVipAddress" } else { "vipAddress" };
        let said = self.texts.iter().filter(|(known, _)| *known == field);
        said.flat_map(|(_, text)| text.split(',')).any(|known| known.trim().eq_ignore_ascii_case(name))
    }

    /// When it began to take traffic, if it does.
    pub(crate) fn up_since(&self) -> i64 {
        if self.status == Status::Up { self.since } else { 0 }
    }

    /// When its lease ended, if it has.
    pub(crate) fn evicted(&self) -> i64 {
        if self.expired { self.since } else { 0 }
    }
}
