//! The pure part against snapshots that the tests make up.

mod answers;
mod properties;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use trellis_core::Status;
use trellis_registry::{
    Catalog, Definition, Entry, Instance, InstanceKey, Labels, Lease, Name as Called, Namespace, Node,
    NodeRegistration, Nodes, ServiceKey, ServiceSnapshot, Tags, Weights,
};

use crate::{Options, Outcome, Snapshots, Transport, Zone, answer};

/// A registry of the tests' own.
#[derive(Debug, Default)]
struct Fake {
    nodes: BTreeMap<Called, Arc<Node>>,
    services: BTreeMap<ServiceKey, Vec<Entry>>,
    own: Option<Called>,
}

/// An instance to be: everything that an answer looks at.
#[derive(Clone)]
struct Copy {
    host: String,
    port: u16,
    tags: Vec<&'static str>,
    status: Status,
    weight: u32,
    tagged: Vec<(&'static str, &'static str)>,
}

impl Default for Copy {
    fn default() -> Self {
        let (status, tags, tagged) = (Status::Up, vec![], vec![]);
        Self { host: String::new(), port: 8080, tags, status, weight: 1, tagged }
    }
}

fn at(host: &str) -> Copy {
    Copy { host: host.into(), ..Copy::default() }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

impl Fake {
    fn new() -> Self {
        let mut fake = Self { own: Some("trellis".parse().unwrap()), ..Self::default() };
        fake.put_node("trellis", "127.0.0.1", &[]);
        fake
    }

    fn put_node(&mut self, name: &str, address: &str, metadata: &[(&str, &str)]) {
        let name: Called = name.parse().unwrap();
        let definition =
            NodeRegistration { metadata: labels(metadata), ..NodeRegistration::new(name.clone(), address) };
        let node = Node {
            definition: Arc::new(definition),
            is_own: Some(&name) == self.own.as_ref(),
            checks: Arc::from([]),
            maintenance: None,
            create_index: 1,
            modify_index: 1,
        };
        self.nodes.insert(name, Arc::new(node));
    }

    fn put(&mut self, service: &str, copy: Copy) {
        self.put_on("trellis", "default", service, copy);
    }

    fn put_on(&mut self, node: &str, namespace: &str, service: &str, copy: Copy) {
        let namespace: Namespace = namespace.parse().unwrap();
        let key = ServiceKey { namespace: namespace.clone(), name: service.parse().unwrap() };
        let node = self.nodes[&node.parse::<Called>().unwrap()].clone();
        let entries = self.services.entry(key).or_default();
        let id = format!("{service}-{}", entries.len()).parse().unwrap();
        let definition = Definition {
            service: service.parse().unwrap(),
            host: copy.host.into(),
            port: copy.port,
            tags: Tags::from_iter(copy.tags),
            metadata: Labels::default(),
            weights: Weights { passing: copy.weight, warning: copy.weight },
            zone: None,
            version: None,
            tagged_addresses: labels(&copy.tagged),
            enable_tag_override: false,
            lease: Lease::None,
        };
        let instance = Instance {
            key: InstanceKey { namespace, node: node.name().clone(), id },
            definition: Arc::new(definition),
            status: copy.status,
            reported: copy.status,
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
        entries.push(Entry { instance: Arc::new(instance), node });
    }

    /// Asks over UDP with EDNS, and reads the answer.
    fn ask(&self, name: &str, kind: RecordType) -> Message {
        self.ask_with(&Options::default(), name, kind)
    }

    fn ask_with(&self, options: &Options, name: &str, kind: RecordType) -> Message {
        let mut question = question(name, kind);
        question.set_edns(edns(1232));
        self.send(options, &question, Transport::Udp)
    }

    fn send(&self, options: &Options, question: &Message, transport: Transport) -> Message {
        let (outcome, bytes) = self.send_bytes(options, &question.to_vec().unwrap(), transport, 1);
        assert_ne!(outcome, Outcome::Dropped);
        Message::from_vec(&bytes).unwrap()
    }

    fn send_bytes(
        &self,
        options: &Options,
        packet: &[u8],
        transport: Transport,
        seed: u64,
    ) -> (Outcome, Vec<u8>) {
        let (zone, mut out) = (Zone::new(options).unwrap(), Vec::new());
        let mut random = fastrand::Rng::with_seed(seed);
        let outcome = answer(packet, transport, &zone, self, 1_700_000_000, &mut random, &mut out);
        (outcome, out)
    }
}

impl Snapshots for Fake {
    fn service(&self, key: &ServiceKey) -> Arc<ServiceSnapshot> {
        let entries = self.services.get(key).cloned().unwrap_or_default();
        Arc::new(ServiceSnapshot { key: key.clone(), index: 1, override_status: None, entries })
    }

    fn node(&self, name: &Called) -> Option<Arc<Node>> {
        self.nodes.get(name).cloned()
    }

    fn nodes(&self) -> Arc<Nodes> {
        Arc::new(Nodes { index: 1, nodes: self.nodes.values().cloned().collect() })
    }

    fn catalog(&self, namespace: &Namespace) -> Arc<Catalog> {
        let keys = self.services.keys().filter(|key| key.namespace == *namespace);
        let services = keys.map(|key| (key.name.clone(), Tags::default())).collect();
        Arc::new(Catalog { namespace: namespace.clone(), index: 1, services })
    }

    fn own_node(&self) -> &Called {
        self.own.as_ref().unwrap()
    }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn edns(size: u16) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(size);
    edns
}

/// The answers as `name type data`, in order of the text.
fn said(message: &Message) -> Vec<String> {
    let mut lines: Vec<String> = message
        .answers
        .iter()
        .map(|record| format!("{} {} {}", record.name.to_ascii(), record.record_type(), record.data))
        .collect();
    lines.sort();
    lines
}

fn code(message: &Message) -> ResponseCode {
    message.metadata.response_code
}
