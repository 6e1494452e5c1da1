//! What holds for every packet.

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use proptest::prelude::*;

use super::{Copy, Fake, at, edns};
use crate::{Options, Outcome, Transport};

fn registry() -> impl Strategy<Value = Fake> {
    let host = prop_oneof![
        any::<[u8; 4]>().prop_map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
        any::<[u8; 16]>().prop_map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        Just(String::new()),
        Just("db.example.com".to_owned()),
        Just("web.service.consul".to_owned()),
    ];
    let copy = (host, any::<u16>(), 0_u32..70_000);
    prop::collection::vec(copy, 0..60).prop_map(|copies| {
        let mut fake = Fake::new();
        for (host, port, weight) in copies {
            fake.put("web", Copy { port, weight, ..at(&host) });
        }
        fake
    })
}

fn name() -> impl Strategy<Value = Name> {
    let word = prop_oneof![
        Just(b"web".to_vec()),
        Just(b"_web".to_vec()),
        Just(b"_tcp".to_vec()),
        Just(b"service".to_vec()),
        Just(b"node".to_vec()),
        Just(b"trellis".to_vec()),
        Just(b"dc1".to_vec()),
        Just(b"dc".to_vec()),
        Just(b"ns".to_vec()),
        Just(b"consul".to_vec()),
        Just(b"CONSUL".to_vec()),
        Just(b"arpa".to_vec()),
        Just(b"in-addr".to_vec()),
        Just(b"ip6".to_vec()),
        Just(b"1".to_vec()),
        prop::collection::vec(any::<u8>(), 1..64),
    ];
    let labels = prop::collection::vec(word, 0..8);
    (labels, any::<bool>()).prop_filter_map("too long", |(mut labels, inside)| {
        if inside {
            labels.push(b"consul".to_vec());
        }
        Name::from_labels(labels.iter().map(Vec::as_slice)).ok().filter(|name| name.len() < 250)
    })
}

fn kind() -> impl Strategy<Value = RecordType> {
    prop_oneof![
        Just(RecordType::A),
        Just(RecordType::AAAA),
        Just(RecordType::SRV),
        Just(RecordType::ANY),
        Just(RecordType::TXT),
        Just(RecordType::PTR),
        any::<u16>().prop_map(RecordType::from),
    ]
}

proptest! {
    #[test]
    fn every_answer_fits_and_belongs_to_its_question(
        fake in registry(),
        name in name(),
        kind in kind(),
        id: u16,
        size in prop::option::of(any::<u16>()),
        tcp: bool,
        chaos: bool,
        seed: u64,
    ) {
        let mut ask = Message::new(id, MessageType::Query, OpCode::Query);
        let mut query = Query::query(name, kind);
        if chaos {
            query.set_query_class(DNSClass::CH);
        }
        ask.add_query(query.clone());
        if let Some(size) = size {
            ask.set_edns(edns(size));
        }
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let packet = ask.to_vec().unwrap();
        let (outcome, bytes) = fake.send_bytes(&Options::default(), &packet, transport, seed);
        let limit = match (tcp, size) {
            (true, _) => 65_535,
            (false, None) => 512,
            (false, Some(size)) => usize::from(size.clamp(512, 1232)),
        };
        prop_assert!(bytes.len() <= limit, "{} of {}", bytes.len(), limit);
        let answer = Message::from_vec(&bytes).unwrap();
        prop_assert_eq!(answer.metadata.id, id);
        prop_assert_eq!(answer.metadata.message_type, MessageType::Response);
        prop_assert_eq!(&answer.queries, &[query.clone()]);
        prop_assert!(answer.queries[0].name().eq_case(query.name()));
        prop_assert_eq!(answer.edns.is_some(), size.is_some());
        let Outcome::Answered { truncated, .. } = outcome else { panic!("dropped") };
        prop_assert_eq!(answer.metadata.truncation, truncated);
        // Nothing behind the end: what is written again is what came.
        prop_assert_eq!(answer.to_vec().unwrap().len(), bytes.len());
    }

    #[test]
    fn any_bytes_are_answered_or_dropped(packet in prop::collection::vec(any::<u8>(), 0..600), seed: u64) {
        check(&packet, seed);
    }

    #[test]
    fn a_question_with_some_bytes_changed_is_answered_or_dropped(
        name in name(),
        kind in kind(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        seed: u64,
    ) {
        let mut ask = Message::new(7, MessageType::Query, OpCode::Query);
        ask.add_query(Query::query(name, kind));
        ask.set_edns(edns(1232));
        let mut packet = ask.to_vec().unwrap();
        for (at, byte) in changes {
            let at = at.index(packet.len());
            packet[at] = byte;
        }
        check(&packet, seed);
    }
}

fn check(packet: &[u8], seed: u64) {
    let mut fake = Fake::new();
    fake.put("web", at("10.0.0.1"));
    for transport in [Transport::Udp, Transport::Tcp] {
        let (outcome, bytes) = fake.send_bytes(&Options::default(), packet, transport, seed);
        if outcome == Outcome::Dropped {
            assert!(bytes.is_empty());
        } else {
            let answer = Message::from_vec(&bytes).unwrap();
            assert_eq!(bytes[..2], packet[..2]);
            assert_eq!(answer.metadata.message_type, MessageType::Response);
        }
    }
}
