//! Whether there is room, and whether it may.

use super::State;
use super::record::Record;
use super::register::{is_managed, node_of};
use crate::error::{Error, Fault, Result};
use crate::model::check::{CheckDefinition, CheckKind, MAX_OUTPUT, MIN_DEREGISTER_AFTER};
use crate::model::names::Name;
use crate::registration::Registration;

/// Most bytes of text in one check's definition.
const MAX_CHECK: usize = 16 << 10;

impl State {
    /// Whether a registration may be taken in; `ahead` others that are new will be by then.
    pub(crate) fn may_register(&self, registration: &Registration, ahead: usize) -> Result<()> {
        let mut faults = registration.faults();
        if registration.tags.len() > self.options.max_tags {
            let detail = format!("an instance has at most {} tags", self.options.max_tags);
            faults.push(Fault { pointer: "/tags".into(), detail });
        }
        if registration.checks.len() > self.options.max_checks {
            let detail = format!("an instance has at most {} checks", self.options.max_checks);
            faults.push(Fault { pointer: "/checks".into(), detail });
        }
        for (n, check) in registration.checks.iter().enumerate() {
            faults.extend(self.faults_of(check, &format!("/checks/{n}")));
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let node = node_of(registration, &self.own);
        if !self.nodes.contains_key(node) {
            return Err(Error::UnknownNode(node.clone()));
        }
        let old = self.slot(&self.key_of(registration)).and_then(|slot| self.records.get(slot));
        if old.is_some_and(Record::is_managed) && !is_managed(registration) {
            return Err(Error::Managed(registration.id.clone()));
        }
        if old.is_none() && self.records.len() + ahead >= self.options.max_instances {
            return Err(Error::TooManyInstances(self.records.len() + ahead));
        }
        let is_known =
            self.services.get(&registration.service_key()).is_some_and(|entry| !entry.members.is_empty());
        if !is_known && self.peopled + ahead >= self.options.max_services {
            return Err(full(self.peopled + ahead, "services", "max_services"));
        }
        Ok(())
    }

    /// Whether a node may be taken in.
    pub(crate) fn may_put_node(&self, name: &Name, address: &str, ahead: usize) -> Result<()> {
        if address.len() > 253 {
            let detail = "an address has at most 253 bytes".into();
            return Err(Error::Invalid(vec![Fault { pointer: "/address".into(), detail }]));
        }
        if !self.nodes.contains_key(name) && self.nodes.len() + ahead >= self.options.max_nodes {
            return Err(full(self.nodes.len() + ahead, "nodes", "max_nodes"));
        }
        Ok(())
    }

    /// Whether a check may be put on an owner that has so many others.
    pub(crate) fn may_check(&self, check: &CheckDefinition, others: usize) -> Result<()> {
        let faults = self.faults_of(check, "");
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        if others >= self.options.max_checks {
            return Err(full(others, "checks of one owner", "max_checks"));
        }
        Ok(())
    }

    /// Everything that is wrong with a check.
    fn faults_of(&self, check: &CheckDefinition, at: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |member: &str, detail: String| {
            faults.push(Fault { pointer: format!("{at}{member}"), detail });
        };
        if check.jitter_percent > 50 {
            fault("/jitter_percent", "a jitter is between 0 and 50 percent of the interval".into());
        }
        if check.is_active() && (check.interval.is_zero() || check.timeout.is_zero()) {
            fault("/interval", "an active check has an interval and a timeout, such as 10s".into());
        }
        if check.deregister_after.is_some_and(|after| after < MIN_DEREGISTER_AFTER) {
            fault("/deregister_after", "a critical instance is removed after one minute or more".into());
        }
        if check.initial_output.len() > MAX_OUTPUT {
            fault("/initial_output", format!("an output has at most {MAX_OUTPUT} bytes"));
        }
        let size = |texts: &[&str]| texts.iter().map(|text| text.len()).sum::<usize>();
        let named = size(&[&check.id, &check.name, &check.notes]);
        let asked = match &check.kind {
            CheckKind::Ttl(ttl) => {
                if ttl.is_zero() {
                    fault("/kind/ttl", "a TTL is a time, such as 30s".into());
                }
                0
            }
            // Names have bounds of their own.
            CheckKind::Reported | CheckKind::Alias(_) => 0,
            CheckKind::Http(http) => {
                if !http.url.starts_with("http://") && !http.url.starts_with("https://") {
                    fault("/kind/http/url", "a URL begins with http:// or https://".into());
                }
                let headers = http.headers.iter().map(|(name, value)| name.len() + value.len());
                size(&[&http.url, &http.method, &http.body]) + headers.sum::<usize>()
            }
            CheckKind::Tcp(address) => {
                if !is_address(address) {
                    fault("/kind/tcp", "an address is host:port".into());
                }
                address.len()
            }
            CheckKind::Grpc(grpc) => {
                if !is_address(&grpc.address) {
                    fault("/kind/grpc/address", "an address is host:port".into());
                }
                size(&[&grpc.address, &grpc.service])
            }
            CheckKind::Command(command) => {
                if !self.options.commands {
                    let detail = "checks may not run commands here; [registry] commands = true lets them";
                    fault("/kind/command", detail.into());
                } else if command.args.first().is_none_or(|program| program.is_empty()) {
                    fault("/kind/command/args", "the first is the program".into());
                }
                let env = command.env.iter().map(|(name, value)| name.len() + value.len());
                command.args.iter().map(|arg| arg.len()).sum::<usize>() + env.sum::<usize>()
            }
        };
        if named + asked > MAX_CHECK {
            fault("", format!("all texts of a check have at most {MAX_CHECK} bytes together"));
        }
        faults
    }
}

/// `host:port`; the host may be an IPv6 address in brackets.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn full(count: usize, what: &'static str, key: &'static str) -> Error {
    Error::Full { count, what, key }
}
