//! What is answered to what.

use std::collections::BTreeSet;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use trellis_core::Status;

use super::{Copy, Fake, at, code, said};
use crate::{Options, Soa};

use RecordType::{A, AAAA, ANY, CNAME, MX, NS, PTR, SOA, SRV, TXT};

fn nothing(message: &Message, expected: ResponseCode) {
    assert_eq!(code(message), expected, "{message}");
    assert_eq!(message.answers, [], "{message}");
    assert!(message.metadata.authoritative);
    let soa = message.authorities.first().map(|record| (record.record_type(), record.name.to_ascii()));
    assert_eq!(soa, Some((SOA, "consul.".to_owned())), "{message}");
}

#[test]
fn a_service_has_the_addresses_of_its_instances_each_once() {
    let mut fake = Fake::new();
    fake.put("web", at("10.0.0.1"));
    fake.put("web", Copy { port: 8081, ..at("10.0.0.1") });
    fake.put("web", at("10.0.0.2"));
    fake.put("web", at("fd00::1"));
    fake.put("web", Copy::default());
    let four = fake.ask("web.service.consul.", A);
    let expected =
        ["A 10.0.0.1", "A 10.0.0.2", "A 127.0.0.1"].map(|line| format!("web.service.consul. {line}"));
    assert_eq!(said(&four), expected);
    assert!(four.metadata.authoritative && four.metadata.recursion_desired);
    assert!(!four.metadata.recursion_available && !four.metadata.truncation);
    assert_eq!(said(&fake.ask("web.service.consul.", AAAA)), ["web.service.consul. AAAA fd00::1"]);
    assert_eq!(fake.ask("web.service.consul.", ANY).answers.len(), 4);
    nothing(&fake.ask("web.service.consul.", MX), ResponseCode::NoError);
}

#[test]
fn only_those_that_may_take_traffic() {
    let mut fake = Fake::new();
    for (n, status) in
        [Status::Up, Status::Down, Status::OutOfService, Status::Starting].into_iter().enumerate()
    {
        fake.put("web", Copy { status, ..at(&format!("10.0.0.{n}")) });
    }
    fake.put("web", Copy { weight: 0, ..at("10.0.0.9") });
    assert_eq!(said(&fake.ask("web.service.consul.", A)), ["web.service.consul. A 10.0.0.0"]);
    assert_eq!(fake.ask("web.service.consul.", SRV).answers.len(), 1);
    fake.put("down", Copy { status: Status::Down, ..at("10.0.0.1") });
    nothing(&fake.ask("down.service.consul.", A), ResponseCode::NXDomain);
    nothing(&fake.ask("other.service.consul.", A), ResponseCode::NXDomain);
}

#[test]
fn tags_choose_whatever_their_case_is() {
    let mut fake = Fake::new();
    fake.put("web", Copy { tags: vec!["V1", "a.b"], ..at("10.0.0.1") });
    fake.put("web", Copy { tags: vec!["v2"], ..at("10.0.0.2") });
    for name in ["v1.web.service.consul.", "_web._v1.service.consul.", "a.b.web.service.consul."] {
        assert_eq!(said(&fake.ask(name, A)), [format!("{name} A 10.0.0.1")]);
    }
    assert_eq!(fake.ask("_web._tcp.service.consul.", A).answers.len(), 2);
    nothing(&fake.ask("v3.web.service.consul.", A), ResponseCode::NXDomain);
}

#[test]
fn srv_has_port_weight_and_a_target_that_can_be_asked_for() {
    let mut fake = Fake::new();
    fake.put_node("Box-1", "10.1.0.1", &[]);
    fake.put_node("my_box", "10.1.0.2", &[]);
    fake.put("web", Copy { port: 81, weight: 7, ..at("192.0.2.10") });
    fake.put("web", Copy { port: 82, ..at("2001:db8::1") });
    fake.put("web", Copy { port: 83, ..at("db.internal") });
    fake.put_on("Box-1", "default", "web", Copy { port: 84, weight: 65_535, ..Copy::default() });
    fake.put_on("my_box", "default", "web", Copy { port: 85, ..Copy::default() });
    let message = fake.ask("_web._tcp.service.consul.", SRV);
    let owner = "_web._tcp.service.consul.";
    let expected = [
        format!("{owner} SRV 1 1 82 20010db8000000000000000000000001.addr.dc1.consul."),
        format!("{owner} SRV 1 1 83 db.internal."),
        format!("{owner} SRV 1 1 85 0a010002.addr.dc1.consul."),
        format!("{owner} SRV 1 65535 84 Box-1.node.dc1.consul."),
        format!("{owner} SRV 1 7 81 c000020a.addr.dc1.consul."),
    ];
    assert_eq!(said(&message), expected);
    assert_eq!(message.additionals.len(), 4, "{message}");
    // Whoever takes a target gets the same address as in the additional section.
    for record in &message.additionals {
        let again = fake.ask(&record.name.to_ascii(), record.record_type());
        assert_eq!(again.answers, std::slice::from_ref(record));
    }
}

#[test]
fn an_instance_that_is_a_name_is_an_alias() {
    let mut fake = Fake::new();
    fake.put("db", at("db.example.com"));
    assert_eq!(said(&fake.ask("db.service.consul.", A)), ["db.service.consul. CNAME db.example.com."]);
    assert_eq!(said(&fake.ask("db.service.consul.", CNAME)), ["db.service.consul. CNAME db.example.com."]);
    // With an address beside it there is no alias, since both together mean nothing.
    fake.put("db", at("10.0.0.1"));
    assert_eq!(said(&fake.ask("db.service.consul.", A)), ["db.service.consul. A 10.0.0.1"]);
    nothing(&fake.ask("db.service.consul.", AAAA), ResponseCode::NoError);
    // One within the domain is followed, and circles end.
    fake.put("front", at("web.service.consul"));
    fake.put("web", at("10.0.0.7"));
    let expected = ["front.service.consul. CNAME web.service.consul.", "web.service.consul. A 10.0.0.7"];
    assert_eq!(said(&fake.ask("front.service.consul.", A)), expected);
    fake.put("round", at("round.service.consul"));
    let round = fake.ask("round.service.consul.", A);
    assert!((1..8).contains(&round.answers.len()), "{round}");
}

#[test]
fn nodes() {
    let mut fake = Fake::new();
    let long = "x".repeat(300);
    fake.put_node("Foo", "10.2.0.1", &[("role", "db"), ("rfc1035-a", "bare"), ("a=b", "c"), ("long", &long)]);
    fake.put_node("named", "foo.example.com", &[]);
    assert_eq!(said(&fake.ask("foo.node.consul.", A)), ["foo.node.consul. A 10.2.0.1"]);
    nothing(&fake.ask("foo.node.consul.", AAAA), ResponseCode::NoError);
    let notes = fake.ask("foo.node.dc1.consul.", TXT);
    let texts: BTreeSet<Vec<u8>> = notes
        .answers
        .iter()
        .map(|record| match &record.data {
            RData::TXT(text) => text.txt_data.concat(),
            other => panic!("{other}"),
        })
        .collect();
    let long = format!("long={long}");
    let expected = [b"role=db".to_vec(), b"bare".to_vec(), b"a`=b=c".to_vec(), long.into_bytes()];
    assert_eq!(texts, BTreeSet::from(expected));
    assert_eq!(fake.ask("foo.node.consul.", ANY).answers.len(), 5);
    assert_eq!(said(&fake.ask("named.node.consul.", A)), ["named.node.consul. CNAME foo.example.com."]);
    nothing(&fake.ask("bar.node.consul.", A), ResponseCode::NXDomain);
}

#[test]
fn addresses_and_their_reverse() {
    let mut fake = Fake::new();
    fake.put_node("box", "10.2.0.1", &[]);
    fake.put("web", at("10.3.0.1"));
    fake.put("six", at("2001:db8::567:89ab"));
    assert_eq!(said(&fake.ask("c000020a.addr.dc1.consul.", A)), ["c000020a.addr.dc1.consul. A 192.0.2.10"]);
    nothing(&fake.ask("c000020a.addr.dc1.consul.", AAAA), ResponseCode::NoError);
    let pointer = |name: &str| said(&fake.ask(name, PTR));
    assert_eq!(pointer("1.0.2.10.in-addr.arpa."), ["1.0.2.10.in-addr.arpa. PTR box.node.dc1.consul."]);
    assert_eq!(pointer("1.0.3.10.in-addr.arpa."), ["1.0.3.10.in-addr.arpa. PTR web.service.dc1.consul."]);
    let six = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    assert_eq!(pointer(six), [format!("{six} PTR six.service.dc1.consul.")]);
    let unknown = fake.ask("9.9.9.9.in-addr.arpa.", PTR);
    // There is no authority of ours to name, since the zone is not ours.
    assert_eq!((code(&unknown), unknown.authorities.len()), (ResponseCode::NXDomain, 0));
    let other_type = fake.ask("1.0.2.10.in-addr.arpa.", A);
    assert_eq!((code(&other_type), other_type.answers.len()), (ResponseCode::NoError, 0));
}

#[test]
fn the_domain_itself() {
    let fake = Fake::new();
    let soa = fake.ask("consul.", SOA);
    let expected = "consul. SOA ns.consul. hostmaster.consul. 1700000000 3600 600 86400 0";
    assert_eq!(said(&soa), [expected]);
    let servers = fake.ask("CONSUL.", NS);
    assert_eq!(said(&servers), ["CONSUL. NS ns.consul."]);
    assert_eq!(servers.additionals[0].data.to_string(), "127.0.0.1");
    assert_eq!(said(&fake.ask("ns.consul.", A)), ["ns.consul. A 127.0.0.1"]);
    nothing(&fake.ask("consul.", A), ResponseCode::NoError);
    nothing(&fake.ask("service.consul.", A), ResponseCode::NoError);
    nothing(&fake.ask("web.ingress.consul.", A), ResponseCode::NXDomain);
    nothing(&fake.ask("web.service.dc9.consul.", A), ResponseCode::NXDomain);
    assert_eq!(code(&fake.ask("consul.", RecordType::AXFR)), ResponseCode::Refused);
}

#[test]
fn namespaces_do_not_know_each_other() {
    let mut fake = Fake::new();
    fake.put("web", at("10.0.0.1"));
    fake.put_on("trellis", "team", "web", at("10.0.0.2"));
    let name = "web.service.team.ns.dc1.dc.consul.";
    assert_eq!(said(&fake.ask(name, A)), [format!("{name} A 10.0.0.2")]);
    assert_eq!(said(&fake.ask("web.service.consul.", A)), ["web.service.consul. A 10.0.0.1"]);
    nothing(&fake.ask("web.service.other.ns.dc1.dc.consul.", A), ResponseCode::NXDomain);
}

#[test]
fn the_other_family_comes_from_tagged_addresses() {
    let mut fake = Fake::new();
    fake.put("web", Copy { tagged: vec![("lan_ipv6", "fd00::7"), ("wan", "1.1.1.1")], ..at("10.0.0.7") });
    assert_eq!(said(&fake.ask("web.service.consul.", AAAA)), ["web.service.consul. AAAA fd00::7"]);
    assert_eq!(said(&fake.ask("web.service.consul.", A)), ["web.service.consul. A 10.0.0.7"]);
}

#[test]
fn times_to_live() {
    let mut fake = Fake::new();
    for service in ["web", "Slow"] {
        fake.put(service, at("10.0.0.1"));
    }
    let options = Options {
        node_ttl: Duration::from_secs(5),
        service_ttl: Duration::from_secs(7),
        service_ttls: [("SLOW".to_owned(), Duration::from_mins(1))].into(),
        soa: Soa { negative_ttl: Duration::from_secs(3), ..Soa::default() },
        ..Options::default()
    };
    let ttl = |name: &str| fake.ask_with(&options, name, A).answers[0].ttl;
    assert_eq!(ttl("trellis.node.consul."), 5);
    assert_eq!(ttl("0a000001.addr.consul."), 5);
    assert_eq!((ttl("web.service.consul."), ttl("slow.service.consul.")), (7, 60));
    let nothing = fake.ask_with(&options, "x.service.consul.", A);
    assert_eq!(nothing.authorities[0].ttl, 3);
}

#[test]
fn another_domain_and_data_centre() {
    let mut fake = Fake::new();
    fake.put("web", at("10.0.0.1"));
    let options = Options { domain: "svc.example.com".into(), datacenter: "eu".into(), ..Options::default() };
    let found = fake.ask_with(&options, "web.service.eu.svc.example.com.", SRV);
    assert_eq!(
        said(&found)[0],
        "web.service.eu.svc.example.com. SRV 1 1 8080 0a000001.addr.eu.svc.example.com."
    );
    let outside = fake.ask_with(&options, "web.service.consul.", A);
    assert_eq!((code(&outside), outside.metadata.authoritative), (ResponseCode::Refused, false));
}

#[test]
fn what_is_looked_at_is_bounded() {
    let mut fake = Fake::new();
    for n in 0..50 {
        let status = if n == 0 { Status::Up } else { Status::Down };
        fake.put("web", Copy { status, ..at(&format!("10.0.0.{n}")) });
    }
    let few = Options { max_examined: 10, ..Options::default() };
    let codes: BTreeSet<String> = (0..200)
        .map(|seed| {
            let question = super::question("web.service.consul.", A).to_vec().unwrap();
            let (_, bytes) = fake.send_bytes(&few, &question, crate::Transport::Udp, seed);
            code(&Message::from_vec(&bytes).unwrap()).to_string()
        })
        .collect();
    // Never "there is none": those that were not looked at may do.
    let expected = [ResponseCode::NoError, ResponseCode::ServFail].map(|code| code.to_string());
    assert_eq!(codes, BTreeSet::from(expected));
}
