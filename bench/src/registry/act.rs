//! What is asked of a registry, whoever it is: each door says the same thing in its own words.

use std::net::Ipv4Addr;

/// Port of every instance.
pub(super) const PORT: u16 = 8080;
/// Instances of a service that is asked for.
pub(super) const COPIES: u64 = 10;
/// How long an instance stays without a heartbeat, in seconds: longer than any run, so that nobody has to clear up
/// meanwhile.
pub(super) const LEASE_SECONDS: u32 = 3600;

/// One thing to ask for, answered before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// The addresses of a service.
    Discover(Service),
    /// An instance announces itself.
    Register(Instance),
    /// An instance says that it is alive.
    Renew(Instance),
    /// The value of a configuration key.
    Read(Key),
    /// Another value for a key; the number makes it differ from the one before.
    Write(Key, u64),
}

/// A service by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Service(pub(super) u32);

/// An instance by number: what it is called and where it is follow from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) service: Service,
    pub(super) number: u64,
    /// Its share of traffic; a change of it is one that everyone who watches the service has to hear of.
    pub(super) weight: u16,
}

/// A configuration key by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) u32);

impl Service {
    pub(super) fn name(self) -> String {
        format!("service-{:04}", self.0)
    }

    /// One of its first [`COPIES`] instances.
    pub(super) fn copy(self, number: u64) -> Instance {
        Instance::new(self, u64::from(self.0) * COPIES + number)
    }
}

impl Instance {
    pub(super) fn new(service: Service, number: u64) -> Self {
        Self { service, number, weight: 1 }
    }

    pub(super) fn id(self) -> String {
        format!("instance-{:07}", self.number)
    }

    /// 10.0.0.1 and on; no two instances have the same.
    pub(super) fn address(self) -> Ipv4Addr {
        Ipv4Addr::from((10 << 24) + 1 + (self.number as u32 & 0x00ff_ffff))
    }
}

impl Key {
    pub(super) fn name(self) -> String {
        format!("limits/key-{:04}", self.0)
    }

    /// JSON of a hundred bytes.
    pub(super) fn value(version: u64) -> String {
        format!("{{\"version\":\"{version:020}\",\"text\":\"{:x<56}\"}}", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_differ() {
        let (a, b) = (Service(1).copy(9), Service(2).copy(0));
        assert_eq!((a.id(), b.id()), ("instance-0000019".into(), "instance-0000020".into()));
        assert_eq!((a.address(), b.address()), (Ipv4Addr::new(10, 0, 0, 20), Ipv4Addr::new(10, 0, 0, 21)));
    }

    #[test]
    fn a_value_has_a_hundred_bytes() {
        assert_eq!(Key::value(1).len(), 100);
        assert_ne!(Key::value(1), Key::value(2));
        serde_json::from_str::<serde_json::Value>(&Key::value(7)).unwrap();
    }
}
