//! Any packet: it is dropped, or answered with a message that can be read, is not too long and bears its id.
#![no_main]

use std::sync::{Arc, LazyLock};

use hickory_proto::op::{Message, MessageType};
use libfuzzer_sys::fuzz_target;
use trellis_core::Status;
use trellis_dns::{Options, Outcome, Snapshots, Transport, Zone, answer};
use trellis_registry::{
    Catalog, Definition, Entry, Instance, InstanceKey, Labels, Lease, Name, Namespace, Node, NodeRegistration, Nodes,
    ServiceKey, ServiceSnapshot, Tags, Weights,
};

static ZONE: LazyLock<Zone> = LazyLock::new(|| Zone::new(&Options::default()).expect("options"));
static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// One node, and a service `web` with addresses of both kinds and a name that stands for itself.
struct Registry {
    node: Arc<Node>,
    service: Arc<ServiceSnapshot>,
}

impl Registry {
    fn new() -> Self {
        let name: Name = "trellis".parse().expect("a name");
        let metadata: Labels = [("role".into(), "db".into())].into_iter().collect();
        let definition = Arc::new(NodeRegistration { metadata, ..NodeRegistration::new(name, "10.0.0.1") });
        let (checks, maintenance) = (Arc::from([]), None);
        let node =
            Arc::new(Node { definition, is_own: true, checks, maintenance, create_index: 1, modify_index: 1 });
        let key = ServiceKey { namespace: Namespace::default(), name: "web".parse().expect("a name") };
        let hosts = (0..100).map(|n| match n % 4 {
            0 => format!("10.0.1.{n}"),
            1 => format!("fd00::{n}"),
            2 => String::new(),
            _ => "web.service.consul".to_owned(),
        });
        let entries = hosts.enumerate().map(|(n, host)| entry(&node, &key, n, &host)).collect();
        let service = Arc::new(ServiceSnapshot { key, index: 1, override_status: None, entries });
        Self { node, service }
    }
}

fn entry(node: &Arc<Node>, service: &ServiceKey, n: usize, host: &str) -> Entry {
    let id = format!("web-{n}").parse().expect("an id");
    let definition = Definition {
        service: service.name.clone(),
        host: host.into(),
        port: n as u16,
        tags: Tags::from_iter(["v1"]),
        metadata: Labels::default(),
        weights: Weights::default(),
        zone: None,
        version: None,
        tagged_addresses: Labels::default(),
        enable_tag_override: false,
        lease: Lease::None,
    };
    let instance = Instance {
        key: InstanceKey { namespace: Namespace::default(), node: node.name().clone(), id },
        definition: Arc::new(definition),
        status: Status::Up,
        reported: Status::Up,
        override_status: None,
        maintenance: None,
        checks: Arc::from([]),
        expired: false,
        protected: false,
        create_index: 1,
        modify_index: 1,
        registered_unix_ms: 0,
        since_unix_ms: 0,
    };
    Entry { instance: Arc::new(instance), node: node.clone() }
}

impl Snapshots for Registry {
    fn service(&self, key: &ServiceKey) -> Arc<ServiceSnapshot> {
        if *key == self.service.key {
            return self.service.clone();
        }
        Arc::new(ServiceSnapshot { key: key.clone(), index: 1, override_status: None, entries: Vec::new() })
    }

    fn node(&self, name: &Name) -> Option<Arc<Node>> {
        (name == self.node.name()).then(|| self.node.clone())
    }

    fn nodes(&self) -> Arc<Nodes> {
        Arc::new(Nodes { index: 1, nodes: vec![self.node.clone()] })
    }

    fn catalog(&self, namespace: &Namespace) -> Arc<Catalog> {
        let services = [(self.service.key.name.clone(), Tags::default())].into();
        Arc::new(Catalog { namespace: namespace.clone(), index: 1, services })
    }

    fn own_node(&self) -> &Name {
        self.node.name()
    }
}

fuzz_target!(|packet: &[u8]| {
    let mut out = Vec::new();
    for (transport, most) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
        let mut random = fastrand::Rng::with_seed(1);
        let outcome = answer(packet, transport, &ZONE, &*REGISTRY, 1, &mut random, &mut out);
        if outcome == Outcome::Dropped {
            assert!(out.is_empty());
            continue;
        }
        assert!(out.len() <= most);
        let read = Message::from_vec(&out).expect("an answer that can be read");
        assert_eq!(out[..2], packet[..2]);
        assert_eq!(read.metadata.message_type, MessageType::Response);
    }
});
