//! Headers, flags, sizes.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use super::{Copy, Fake, at, code, edns, question, said};
use crate::{Options, Outcome, Transport};

fn crowd(count: usize) -> Fake {
    let mut fake = Fake::new();
    for n in 0..count {
        fake.put(
            "web",
            Copy { port: n as u16, ..at(&format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255)) },
        );
    }
    fake
}

fn send(fake: &Fake, question: &Message, transport: Transport) -> (Message, usize) {
    let (_, bytes) = fake.send_bytes(&Options::default(), &question.to_vec().unwrap(), transport, 3);
    (Message::from_vec(&bytes).unwrap(), bytes.len())
}

#[test]
fn too_much_for_a_datagram_is_cut_and_says_so() {
    let fake = crowd(200);
    for kind in [RecordType::A, RecordType::SRV] {
        let mut ask = question("web.service.consul.", kind);
        let (plain, len) = send(&fake, &ask, Transport::Udp);
        assert!(plain.metadata.truncation && len <= 512 && plain.answers.len() > 3, "{plain}");
        assert!(plain.edns.is_none());
        ask.set_edns(edns(4096));
        let (capped, len) = send(&fake, &ask, Transport::Udp);
        assert!(capped.metadata.truncation && (513..=1232).contains(&len), "{len}");
        assert_eq!(capped.edns.as_ref().map(hickory_proto::op::Edns::max_payload), Some(1232));
        ask.set_edns(edns(700));
        let (asked, len) = send(&fake, &ask, Transport::Udp);
        assert!(asked.metadata.truncation && (513..=700).contains(&len), "{len}");
        ask.set_edns(edns(100));
        assert!(send(&fake, &ask, Transport::Udp).1 <= 512);
        let (whole, _) = send(&fake, &ask, Transport::Tcp);
        assert!(!whole.metadata.truncation);
        assert_eq!(whole.answers.len(), 200);
        let mut names: Vec<String> = said(&whole);
        names.dedup();
        assert_eq!(names.len(), 200);
    }
}

#[test]
fn helpful_records_are_left_out_without_a_word() {
    let fake = crowd(10);
    let (message, len) = send(&fake, &question("web.service.consul.", RecordType::SRV), Transport::Udp);
    assert!(len <= 512 && !message.metadata.truncation, "{message}");
    assert_eq!(message.answers.len(), 10);
    assert!(message.additionals.len() < 10);
}

#[test]
fn the_longest_answer_fits_a_connection() {
    let fake = crowd(20_000);
    let (message, len) = send(&fake, &question("web.service.consul.", RecordType::A), Transport::Tcp);
    assert!(message.metadata.truncation);
    assert!((60_000..=65_535).contains(&len), "{len}");
}

#[test]
fn a_limit_is_a_wish_and_cuts_only_plain_datagrams() {
    let fake = crowd(20);
    let options = Options { udp_answer_limit: 3, ..Options::default() };
    let mut ask = question("web.service.consul.", RecordType::A);
    let plain = fake.send(&options, &ask, Transport::Udp);
    assert_eq!((plain.answers.len(), plain.metadata.truncation), (3, false));
    assert_eq!(fake.send(&options, &ask, Transport::Tcp).answers.len(), 20);
    ask.set_edns(edns(1232));
    assert_eq!(fake.send(&options, &ask, Transport::Udp).answers.len(), 20);
}

#[test]
fn answers_come_in_another_order_each_time_and_in_the_same_from_the_same_dice() {
    let fake = crowd(6);
    let ask = question("web.service.consul.", RecordType::A).to_vec().unwrap();
    let run = |seed| fake.send_bytes(&Options::default(), &ask, Transport::Udp, seed).1;
    assert_eq!(run(1), run(1));
    let firsts: std::collections::BTreeSet<String> =
        (0..100).map(|seed| Message::from_vec(&run(seed)).unwrap().answers[0].data.to_string()).collect();
    assert_eq!(firsts.len(), 6);
}

#[test]
fn the_question_comes_back_as_it_was_spelt() {
    let fake = crowd(1);
    let ask = question("wEb.SErvIce.cOnSUL.", RecordType::A);
    let (message, _) = send(&fake, &ask, Transport::Udp);
    assert!(message.queries[0].name().eq_case(ask.queries[0].name()));
    assert!(message.answers[0].name.eq_case(ask.queries[0].name()));
    assert_eq!(message.metadata.id, 4711);
}

#[test]
fn refusals() {
    let fake = crowd(1);
    let ask = || question("web.service.consul.", RecordType::A);
    let codes = |message: Message| {
        let (answer, _) = send(&fake, &message, Transport::Udp);
        assert_eq!(answer.answers.len(), 0);
        assert_eq!(answer.metadata.message_type, MessageType::Response);
        code(&answer)
    };
    let mut two = ask();
    two.add_query(Query::query(Name::from_ascii("a.consul.").unwrap(), RecordType::A));
    assert_eq!(codes(two), ResponseCode::FormErr);
    assert_eq!(codes(Message::new(1, MessageType::Query, OpCode::Query)), ResponseCode::FormErr);
    for op in [OpCode::Status, OpCode::Notify, OpCode::Update] {
        let mut other = ask();
        other.metadata.op_code = op;
        assert_eq!(codes(other), ResponseCode::NotImp);
    }
    let mut chaos = ask();
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(codes(chaos), ResponseCode::Refused);
    assert_eq!(codes(question("example.com.", RecordType::A)), ResponseCode::Refused);
    let mut newer = ask();
    newer.set_edns(edns(1232)).edns.as_mut().unwrap().set_version(1);
    let (answer, _) = send(&fake, &newer, Transport::Udp);
    // 16 is both "bad version" and "bad signature", depending on where it stands.
    assert_eq!((code(&answer).low(), code(&answer).high()), (0, 1));
    assert_eq!(answer.edns.unwrap().version(), 0);
}

#[test]
fn flags_of_the_options_come_back() {
    let fake = crowd(1);
    let mut ask = question("web.service.consul.", RecordType::A);
    let mut options = edns(1232);
    options.set_dnssec_ok(true);
    ask.set_edns(options);
    assert!(send(&fake, &ask, Transport::Udp).0.edns.unwrap().flags().dnssec_ok);
}

#[test]
fn what_is_no_question_gets_no_answer() {
    let fake = crowd(1);
    let mut reply = question("web.service.consul.", RecordType::A);
    reply.metadata.message_type = MessageType::Response;
    for packet in [reply.to_vec().unwrap(), vec![], vec![0; 11]] {
        let (outcome, out) = fake.send_bytes(&Options::default(), &packet, Transport::Udp, 1);
        assert_eq!((outcome, out.len()), (Outcome::Dropped, 0));
    }
    // A header that promises what does not come is answered with nothing but a header.
    let mut cut = question("web.service.consul.", RecordType::A).to_vec().unwrap();
    cut.truncate(20);
    let (_, out) = fake.send_bytes(&Options::default(), &cut, Transport::Udp, 1);
    assert_eq!(out.len(), 12);
    assert_eq!(code(&Message::from_vec(&out).unwrap()), ResponseCode::FormErr);
}
