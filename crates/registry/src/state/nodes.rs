//! Nodes, and what is taken out for maintenance.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::record::NodeEntry;
use super::register::no_checks;
use super::{Changed, Now, State};
use crate::error::{Error, Result};
use crate::model::check::{CheckDefinition, CheckKind, CheckStatus, NODE_CHECK};
use crate::model::instance::Instance;
use crate::model::names::{CheckOwner, InstanceKey, Name};
use crate::model::node::{Node, NodeRegistration};

impl State {
    /// The platform's own node is there from the beginning, and so is the check that says so.
    pub(super) fn put_own_node(&mut self, now: Now) {
        let node = self.options.node.clone();
        let mut delta = Changed::default();
        self.enter_node(node, true, &mut delta);
        let owner = CheckOwner::Node(self.own.clone());
        let check = CheckDefinition {
            name: "Serf Health Status".into(),
            initial: CheckStatus::Passing,
            initial_output: "Agent alive and reachable".into(),
            ..CheckDefinition::new(NODE_CHECK, CheckKind::Reported)
        };
        self.set_check(&owner, check, true, now, &mut delta);
        self.settle_node(&self.own.clone(), false, now, &mut delta);
        let _first = self.finish(delta, now);
    }

    /// Registers a node, in place of one with the same name.
    pub(crate) fn put_node(&mut self, node: NodeRegistration, now: Now) -> Result<Changed> {
        self.may_put_node(&node.name, &node.address, 0)?;
        Ok(self.place_node(node, now))
    }

    pub(super) fn place_node(&mut self, mut node: NodeRegistration, now: Now) -> Changed {
        let mut delta = Changed::default();
        let next = self.next();
        let own = node.name == self.own;
        match self.nodes.get_mut(&node.name) {
            None => self.enter_node(node, false, &mut delta),
            Some(entry) => {
                if own {
                    node.address = entry.view.definition.address.clone();
                }
                node.name = entry.name().clone();
                if *entry.view.definition == node {
                    return delta;
                }
                let name = node.name.clone();
                let definition = Arc::new(node);
                entry.view = Arc::new(Node { definition, modify_index: next, ..Node::clone(&entry.view) });
                self.settle_node(&name, true, now, &mut delta);
            }
        }
        self.finish(delta, now)
    }

    pub(super) fn enter_node(&mut self, mut node: NodeRegistration, is_own: bool, delta: &mut Changed) {
        let next = self.next();
        node.name = self.intern.name(&node.name);
        let name = node.name.clone();
        let view = Node {
            definition: Arc::new(node),
            is_own,
            checks: no_checks(),
            maintenance: None,
            create_index: next,
            modify_index: next,
        };
        let entry = NodeEntry {
            view: Arc::new(view),
            members: BTreeSet::new(),
            checks: Vec::new(),
            index: next,
            checks_index: next,
            snapshot: None,
            holder: self.me.clone(),
            revision: 0,
        };
        self.nodes.insert(name.clone(), entry);
        self.aliases.touch(|| CheckOwner::Node(name.clone()));
        delta.node_list = true;
        delta.nodes.insert(name);
    }

    /// Takes an instance out, or brings it back.
    pub(crate) fn maintain(
        &mut self,
        key: &InstanceKey,
        reason: Option<Arc<str>>,
        now: Now,
    ) -> Result<Changed> {
        let slot = self.slot(key).ok_or_else(|| self.unknown(key))?;
        let mut delta = Changed::default();
        let next = self.next();
        if let Some(record) = self.records.get_mut(slot)
            && record.view.maintenance != reason
        {
            let view = Instance { maintenance: reason, modify_index: next, ..Instance::clone(&record.view) };
            let service = view.service();
            record.view = Arc::new(view);
            delta.services.insert(service);
            delta.nodes.insert(key.node.clone());
            self.aliases.touch(|| CheckOwner::Instance(key.clone()));
            self.settle(slot, false, now, &mut delta);
            self.note(crate::model::snapshot::ChangeKind::Modified, slot, now);
        }
        Ok(self.finish(delta, now))
    }

    /// Takes a node out, or brings it back.
    pub(crate) fn maintain_node(
        &mut self,
        name: &Name,
        reason: Option<Arc<str>>,
        now: Now,
    ) -> Result<Changed> {
        let next = self.next();
        let mut delta = Changed::default();
        let entry = self.nodes.get_mut(name).ok_or_else(|| Error::UnknownNode(name.clone()))?;
        if entry.view.maintenance == reason {
            return Ok(delta);
        }
        let view = Node { maintenance: reason, modify_index: next, ..Node::clone(&entry.view) };
        entry.view = Arc::new(view);
        let members: Vec<u32> = entry.members.iter().copied().collect();
        self.settle_node(name, false, now, &mut delta);
        for slot in members {
            self.settle(slot, false, now, &mut delta);
        }
        Ok(self.finish(delta, now))
    }
}
