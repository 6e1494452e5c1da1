//! Checks, and what Consul says with checks that the registry says otherwise: maintenance, and statuses that are none
//! of a check (an operator's word, a lease that ended, an instance that is starting).

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use trellis_core::Status;
use trellis_registry::{CheckOwner, CheckStatus, CheckView, Entry, Instance, Name, Node, Tags};

use crate::request::format_duration;

/// A check as clients see it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CheckRow {
    node: Name,
    #[serde(rename = "CheckID")]
    pub(crate) id: Arc<str>,
    name: Arc<str>,
    pub(crate) status: &'static str,
    notes: Arc<str>,
    output: Arc<str>,
    #[serde(rename = "ServiceID")]
    service_id: Arc<str>,
    service_name: Cow<'static, str>,
    service_tags: Tags,
    r#type: &'static str,
    interval: String,
    timeout: String,
    exposed_port: u16,
    definition: Definition,
    create_index: u64,
    modify_index: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Definition {}

impl CheckRow {
    /// A check of the registry.
    pub(crate) fn new(check: &CheckView) -> Self {
        let definition = &check.definition;
        let service_id = match &check.key.owner {
            CheckOwner::Node(_) => "".into(),
            CheckOwner::Instance(key) => key.id.as_str().into(),
        };
        let timing = |time| if definition.is_active() { format_duration(time) } else { String::new() };
        Self {
            node: check.key.owner.node().clone(),
            id: check.key.id.clone(),
            name: definition.name.clone(),
            status: check.status.as_str(),
            notes: definition.notes.clone(),
            output: check.output.clone(),
            service_id,
            service_name: check.service.as_ref().map(|name| name.to_string().into()).unwrap_or_default(),
            service_tags: check.service_tags.clone(),
            r#type: definition.kind.as_str(),
            interval: timing(definition.interval),
            timeout: timing(definition.timeout),
            exposed_port: 0,
            definition: Definition {},
            create_index: check.create_index,
            modify_index: check.modify_index,
        }
    }

    fn critical(node: Name, id: String, name: &str, notes: &str, output: String, at: u64) -> Self {
        Self {
            node,
            id: id.into(),
            name: name.into(),
            status: CheckStatus::Critical.as_str(),
            notes: notes.into(),
            output: output.into(),
            service_id: "".into(),
            service_name: "".into(),
            service_tags: Tags::default(),
            r#type: "",
            interval: String::new(),
            timeout: String::new(),
            exposed_port: 0,
            definition: Definition {},
            create_index: at,
            modify_index: at,
        }
    }

    fn of(self, instance: &Instance) -> Self {
        Self {
            service_id: instance.id().as_str().into(),
            service_name: instance.definition.service.to_string().into(),
            service_tags: instance.definition.tags.clone(),
            ..self
        }
    }

    /// What the check says.
    pub(crate) fn health(&self) -> CheckStatus {
        match self.status {
            "passing" => CheckStatus::Passing,
            "warning" => CheckStatus::Warning,
            _ => CheckStatus::Critical,
        }
    }
}

/// The checks of a node itself.
pub(crate) fn node_checks(node: &Node) -> Vec<CheckRow> {
    let mut rows: Vec<_> = node.checks.iter().map(|check| CheckRow::new(check)).collect();
    if let Some(reason) = &node.maintenance {
        let (id, at) = ("_node_maintenance".to_owned(), node.modify_index);
        rows.push(CheckRow::critical(
            node.name().clone(),
            id,
            "Node Maintenance Mode",
            reason,
            String::new(),
            at,
        ));
    }
    rows
}

/// The checks of an instance, without those of its node.
pub(crate) fn checks_of(entry: &Entry) -> Vec<CheckRow> {
    let instance = &entry.instance;
    let mut rows: Vec<_> = instance.checks.iter().map(|check| CheckRow::new(check)).collect();
    let (node, at) = (&instance.key.node, instance.modify_index);
    if let Some(reason) = &instance.maintenance {
        let id = format!("_service_maintenance:{}", instance.id());
        let row = CheckRow::critical(node.clone(), id, "Service Maintenance Mode", reason, String::new(), at);
        rows.push(row.of(instance));
    }
    let is_said = worst(&rows) == CheckStatus::Critical || entry.node.health() == CheckStatus::Critical;
    if instance.status != Status::Up && !is_said {
        let id = format!("service:{}:status", instance.id());
        let why = if instance.override_status.is_some() {
            "an operator says so"
        } else if instance.expired {
            "its lease has ended"
        } else {
            "so it is reported, or an operator says so of its service"
        };
        let output = format!("The instance is {}: {why}.", instance.status);
        rows.push(CheckRow::critical(node.clone(), id, "Status", "", output, at).of(instance));
    }
    rows
}

/// The worst that checks say.
pub(crate) fn worst<'c>(rows: impl IntoIterator<Item = &'c CheckRow>) -> CheckStatus {
    rows.into_iter().map(CheckRow::health).max().unwrap_or(CheckStatus::Passing)
}
