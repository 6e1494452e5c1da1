//! The addresses that may be given outside the manifest.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use trellis_core::model::AppModel;

use super::Origin;
use super::overrides::Given;

/// An address of the platform that can be given outside the manifest.
#[derive(Debug)]
pub struct Listen {
    /// Its key in the manifest.
    pub key: &'static str,
    /// Its option of the command line.
    pub flag: &'static str,
    /// Its variable of the environment.
    pub variable: &'static str,
    of: fn(&mut AppModel) -> &mut SocketAddr,
}

/// All of them.
pub const LISTENS: [Listen; 5] = [
    Listen {
        key: "gateway.listen",
        flag: "gateway-listen",
        variable: "TRELLIS_GATEWAY_LISTEN",
        of: |model| &mut model.gateway.listen,
    },
    Listen {
        key: "admin.listen",
        flag: "admin-listen",
        variable: "TRELLIS_ADMIN_LISTEN",
        of: |model| &mut model.admin.listen,
    },
    Listen {
        key: "consul.listen",
        flag: "consul-listen",
        variable: "TRELLIS_CONSUL_LISTEN",
        of: |model| &mut model.consul.listen,
    },
    Listen {
        key: "dns.listen",
        flag: "dns-listen",
        variable: "TRELLIS_DNS_LISTEN",
        of: |model| &mut model.dns.listen,
    },
    Listen {
        key: "eureka.listen",
        flag: "eureka-listen",
        variable: "TRELLIS_EUREKA_LISTEN",
        of: |model| &mut model.eureka.listen,
    },
];

/// Which of them were given, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listens {
    given: BTreeMap<&'static str, Given<SocketAddr>>,
    /// Those that were not take any free port, and this is who said so.
    any_port: Option<Origin>,
}

impl Listens {
    /// Those that were given by themselves, and who asked for any free port for the others, if somebody did.
    pub fn new(given: BTreeMap<&'static str, Given<SocketAddr>>, any_port: Option<Origin>) -> Self {
        Self { given, any_port }
    }

    /// The address for `key`, if it was given by itself.
    pub fn get(&self, key: &str) -> Option<&Given<SocketAddr>> {
        self.given.get(key)
    }

    /// Who said where `key` is, if it was not the manifest.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        let known = LISTENS.iter().any(|listen| listen.key == key);
        self.given.get(key).map(|given| &given.origin).or(self.any_port.as_ref().filter(|_| known))
    }

    /// Puts them into `model`.
    pub fn apply(&self, model: &mut AppModel) {
        for listen in &LISTENS {
            let address = (listen.of)(model);
            match self.given.get(listen.key) {
                Some(given) => *address = given.value,
                None if self.any_port.is_some() => address.set_port(0),
                None => {}
            }
        }
    }
}
