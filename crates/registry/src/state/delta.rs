//! What a step changed.

use std::collections::BTreeSet;

use crate::model::check::CheckStatus;
use crate::model::names::{Name, Namespace, ServiceKey};
use crate::model::topic::Topic;

/// Everything that has another index after a step than before it.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// The index of the step; 0 if nothing changed.
    pub(crate) index: u64,
    pub(crate) services: BTreeSet<ServiceKey>,
    /// Services whose endpoint set is another one.
    pub(crate) endpoints: BTreeSet<ServiceKey>,
    pub(crate) service_checks: BTreeSet<ServiceKey>,
    pub(crate) catalogs: BTreeSet<Namespace>,
    pub(crate) nodes: BTreeSet<Name>,
    pub(crate) node_checks: BTreeSet<Name>,
    pub(crate) node_list: bool,
    pub(crate) states: [bool; 3],
    pub(crate) agent: bool,
    /// The services that have instances are others.
    pub(crate) names: bool,
}

impl Changed {
    pub(crate) fn is_empty(&self) -> bool {
        self.services.is_empty()
            && self.endpoints.is_empty()
            && self.service_checks.is_empty()
            && self.catalogs.is_empty()
            && self.nodes.is_empty()
            && self.node_checks.is_empty()
            && !self.node_list
            && self.states == [false; 3]
            && !self.names
    }

    /// Both as one step: what was between them was never shown.
    pub(crate) fn merge(&mut self, later: Self) {
        self.index = self.index.max(later.index);
        self.services.extend(later.services);
        self.endpoints.extend(later.endpoints);
        self.service_checks.extend(later.service_checks);
        self.catalogs.extend(later.catalogs);
        self.nodes.extend(later.nodes);
        self.node_checks.extend(later.node_checks);
        self.node_list |= later.node_list;
        for (known, more) in self.states.iter_mut().zip(later.states) {
            *known |= more;
        }
        self.agent |= later.agent;
        self.names |= later.names;
    }

    pub(super) fn state(&mut self, status: CheckStatus) {
        self.states[status as usize] = true;
    }

    /// The topics that are to be told.
    pub(crate) fn topics(&self) -> impl Iterator<Item = Topic> {
        let states = [CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical];
        let any = self.states.contains(&true).then_some(Topic::State(None));
        let states = states
            .into_iter()
            .filter(|status| self.states[*status as usize])
            .map(|status| Topic::State(Some(status)));
        let single = [
            (self.index > 0).then_some(Topic::All),
            self.agent.then_some(Topic::Agent),
            self.node_list.then_some(Topic::Nodes),
            any,
        ];
        self.services
            .iter()
            .cloned()
            .map(Topic::Service)
            .chain(self.service_checks.iter().cloned().map(Topic::ChecksOfService))
            .chain(self.catalogs.iter().cloned().map(Topic::Services))
            .chain(self.nodes.iter().cloned().map(Topic::Node))
            .chain(self.node_checks.iter().cloned().map(Topic::NodeChecks))
            .chain(single.into_iter().flatten())
            .chain(states)
    }
}
