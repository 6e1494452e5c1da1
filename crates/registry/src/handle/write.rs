//! Changing what is registered. What returns `Ok` here from an `async` function is on disk.
//!
//! While the store is away these fail with [`Error::Store`](crate::Error::Store), which may be tried again; heartbeats,
//! reports and reads go on.

use std::sync::Arc;

use trellis_core::Status;

use super::Handle;
use crate::error::Result;
use crate::model::check::{CheckDefinition, CheckStatus};
use crate::model::instance::Instance;
use crate::model::names::{CheckKey, CheckOwner, InstanceKey, Name, ServiceKey};
use crate::model::node::NodeRegistration;
use crate::registration::Registration;

impl Handle {
    /// Registers an instance, in place of one with the same key, and starts its lease. A repetition of what is
    /// registered already writes nothing and is as good as a heartbeat.
    ///
    /// Nobody but the platform replaces an instance that the platform runs. A `Lease::Managed` is for
    /// [`Self::register`], which keeps nothing.
    pub async fn admit(&self, _registration: Registration) -> Result<Arc<Instance>> {
        unimplemented!()
    }

    /// Removes an instance and its checks. What operators said of it stays.
    pub async fn remove(&self, _key: &InstanceKey) -> Result<()> {
        unimplemented!()
    }

    /// Starts an instance's lease again; an expired one that is still listed comes back. Never touches the disk, but
    /// if another `trellis` looked after the instance so far: then this one takes it over from now on.
    pub async fn heartbeat(&self, _key: &InstanceKey) -> Result<()> {
        unimplemented!()
    }

    /// Takes what an instance reports of itself. Kept in memory: after a restart it is as it was registered, until it
    /// reports again.
    pub fn report(&self, _key: &InstanceKey, _status: Status) -> Result<()> {
        unimplemented!()
    }

    /// Says what status an instance has whatever its liveness says, or takes that back with `None`. Holds until it is
    /// taken back, over restarts and registrations. The instance must be registered.
    pub async fn override_instance(&self, _key: &InstanceKey, _status: Option<Status>) -> Result<()> {
        unimplemented!()
    }

    /// The same for all instances of a service, present and future, but those of which something else is said.
    pub async fn override_service(&self, _service: &ServiceKey, _status: Option<Status>) -> Result<()> {
        unimplemented!()
    }

    /// Takes an instance out for maintenance, with a reason that may be empty, or brings it back with `None`. It is
    /// `OUT_OF_SERVICE` in the meantime. Ends with the instance, not with a new registration.
    pub async fn set_maintenance(&self, _key: &InstanceKey, _reason: Option<&str>) -> Result<()> {
        unimplemented!()
    }

    /// Registers a node, in place of one with the same name; its checks and instances stay. Of the platform's own node
    /// metadata, tagged addresses and id may be set, its address stays.
    pub async fn put_node(&self, _node: NodeRegistration) -> Result<()> {
        unimplemented!()
    }

    /// Removes a node with its checks and all instances on it. The platform's own stays.
    pub async fn remove_node(&self, _name: &Name) -> Result<()> {
        unimplemented!()
    }

    /// Takes a node out for maintenance: all instances on it are `OUT_OF_SERVICE`.
    pub async fn set_node_maintenance(&self, _name: &Name, _reason: Option<&str>) -> Result<()> {
        unimplemented!()
    }

    /// Puts a check on an instance or a node, in place of one with the same id. Its key.
    pub async fn put_check(&self, _owner: &CheckOwner, _check: CheckDefinition) -> Result<CheckKey> {
        unimplemented!()
    }

    /// Removes a check. Not [`NODE_CHECK`](crate::NODE_CHECK) of the platform's own node.
    pub async fn remove_check(&self, _key: &CheckKey) -> Result<()> {
        unimplemented!()
    }

    /// Takes a report of a check of the kind `Ttl` or `Reported`, and starts its time again; others are refused with
    /// [`Error::NotReported`](crate::Error::NotReported). The output is cut to [`MAX_OUTPUT`](crate::MAX_OUTPUT) bytes.
    /// Never touches the disk.
    pub fn report_check(&self, _key: &CheckKey, _status: CheckStatus, _output: &str) -> Result<()> {
        unimplemented!()
    }
}
