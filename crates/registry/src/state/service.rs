//! The instances of one service, and the set that balancers choose from.

use std::collections::BTreeMap;
use std::sync::Arc;

use trellis_core::{EndpointSet, InstanceId};

use super::Record;

#[derive(Default)]
pub(super) struct Service {
    pub(super) records: BTreeMap<InstanceId, Record>,
    /// Someone holds a watch, so the revision must not be lost when the last instance goes.
    pub(super) watched: bool,
    revision: u64,
    /// Made when it is first asked for, so that a burst of registrations does not copy the set each time.
    snapshot: Option<Arc<EndpointSet>>,
}

impl Service {
    pub(super) fn changed(&mut self, revision: u64) {
        self.revision = revision;
        self.snapshot = None;
    }

    pub(super) fn snapshot(&mut self) -> Arc<EndpointSet> {
        let make = || {
            let endpoints = self.records.values().filter_map(Record::endpoint).collect();
            Arc::new(EndpointSet { revision: self.revision, endpoints })
        };
        self.snapshot.get_or_insert_with(make).clone()
    }
}
