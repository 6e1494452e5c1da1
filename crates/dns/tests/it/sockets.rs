//! UDP and TCP, from within the process.

use std::time::Duration;

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::net::UdpSocket;
use trellis_core::{Error, codes};
use trellis_dns::{Options, bind};
use trellis_runtime::WallClock;
use trellis_testkit::wait_until;

use crate::support::{Door, WITHIN, framed, is_closed, question, read, send, soon};

#[tokio::test]
async fn datagrams_are_answered_from_what_is_registered_now() {
    let door = Door::open().await;
    let ask = question(7, "web.service.consul.", RecordType::A).to_vec().unwrap();
    let before = Message::from_vec(&door.udp(&ask).await).unwrap();
    assert_eq!(before.metadata.response_code, ResponseCode::NXDomain);
    door.put("web", 3);
    let after = Message::from_vec(&door.udp(&ask).await).unwrap();
    assert_eq!((after.metadata.id, after.answers.len()), (7, 3));
    let stats = door.dns.stats();
    let counts: Vec<_> = stats.by_kind_and_code().collect();
    assert_eq!(counts, [("A", "NOERROR", 1), ("A", "NXDOMAIN", 1)]);
    door.close().await;
}

#[tokio::test]
async fn the_platforms_own_service_has_the_nodes_of_its_members() {
    let door = Door::open().await;
    for (kind, wanted) in [(RecordType::A, 1), (RecordType::SRV, 1), (RecordType::AAAA, 0)] {
        let ask = question(7, "Consul.service.consul.", kind).to_vec().unwrap();
        let answer = Message::from_vec(&door.udp(&ask).await).unwrap();
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, wanted));
        for record in &answer.answers {
            let text = record.data.to_string();
            assert!(text == "127.0.0.1" || text == "1 1 0 trellis.node.dc1.consul.", "{text}");
        }
    }
    // Who takes its name stands beside it.
    door.put("consul", 1);
    let ask = question(8, "consul.service.consul.", RecordType::A).to_vec().unwrap();
    assert_eq!(Message::from_vec(&door.udp(&ask).await).unwrap().answers.len(), 2);
    door.close().await;
}

#[tokio::test]
async fn what_is_no_question_is_dropped_and_counted_and_the_next_is_answered() {
    let door = Door::open().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut reply = question(7, "web.service.consul.", RecordType::A);
    reply.metadata.message_type = hickory_proto::op::MessageType::Response;
    for packet in [vec![0; 5], vec![0; 5000], reply.to_vec().unwrap()] {
        socket.send_to(&packet, door.dns.address()).await.unwrap();
    }
    let ask = question(9, "consul.", RecordType::SOA).to_vec().unwrap();
    socket.send_to(&ask, door.dns.address()).await.unwrap();
    let mut answer = [0; 2048];
    let len = soon(socket.recv(&mut answer)).await.unwrap();
    assert_eq!(Message::from_vec(&answer[..len]).unwrap().metadata.id, 9);
    let all_counted = || async { (door.dns.stats().malformed, door.dns.stats().queries()) == (3, 1) };
    wait_until("all packets are counted", WITHIN, all_counted).await.unwrap();
    door.close().await;
}

#[tokio::test]
async fn a_cut_answer_is_whole_over_a_connection() {
    let door = Door::open().await;
    door.put("web", 200);
    let mut ask = question(1, "web.service.consul.", RecordType::SRV);
    ask.set_edns(Edns::new());
    let cut = Message::from_vec(&door.udp(&ask.to_vec().unwrap()).await).unwrap();
    assert!(cut.metadata.truncation && cut.answers.len() < 200);
    let mut stream = door.connect().await;
    send(&mut stream, &framed(&ask)).await;
    let whole = read(&mut stream).await;
    assert_eq!((whole.answers.len(), whole.metadata.truncation), (200, false));
    let stats = door.dns.stats();
    assert_eq!((stats.truncated, stats.connections, stats.open_connections), (1, 1, 1));
    door.close().await;
}

#[tokio::test]
async fn many_questions_on_one_connection_in_any_pieces() {
    let door = Door::open().await;
    door.put("web", 50);
    let mut stream = door.connect().await;
    let together: Vec<u8> =
        (0..100).flat_map(|id| framed(&question(id, "web.service.consul.", RecordType::A))).collect();
    for piece in together.chunks(333) {
        send(&mut stream, piece).await;
    }
    for id in 0..100 {
        let answer = read(&mut stream).await;
        assert_eq!((answer.metadata.id, answer.answers.len()), (id, 50));
    }
    door.close().await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let door = Door::open_with(Options { max_connections: 2, ..Options::default() }).await;
    let mut held = Vec::new();
    for id in 0..2 {
        let mut stream = door.connect().await;
        send(&mut stream, &framed(&question(id, "consul.", RecordType::SOA))).await;
        assert_eq!(read(&mut stream).await.metadata.id, id);
        held.push(stream);
    }
    assert!(is_closed(&mut door.connect().await).await);
    assert_eq!(door.dns.stats().refused_connections, 1);
    drop(held);
    let all_free = || async { door.dns.stats().open_connections == 0 };
    wait_until("places are free again", WITHIN, all_free).await.unwrap();
    let mut stream = door.connect().await;
    send(&mut stream, &framed(&question(5, "consul.", RecordType::SOA))).await;
    assert_eq!(read(&mut stream).await.metadata.id, 5);
    door.close().await;
}

#[tokio::test]
async fn a_connection_that_is_idle_or_drips_or_is_no_dns_is_closed() {
    let options = Options { idle_timeout: Duration::from_millis(100), ..Options::default() };
    let door = Door::open_with(options).await;
    let mut idle = door.connect().await;
    let mut dripping = door.connect().await;
    send(&mut dripping, &[0, 30, 1]).await;
    assert!(is_closed(&mut idle).await && is_closed(&mut dripping).await);
    let mut long = door.connect().await;
    send(&mut long, &[0xff, 0xff, 1]).await;
    assert!(is_closed(&mut long).await);
    let mut other = door.connect().await;
    send(&mut other, &[0, 2, 1, 1]).await;
    assert!(is_closed(&mut other).await);
    let stats = door.dns.stats();
    assert_eq!((stats.idle_connections, stats.malformed), (2, 2));
    door.close().await;
}

#[tokio::test]
async fn stopping_closes_what_is_open() {
    let door = Door::open().await;
    let (address, mut stream) = (door.dns.address(), door.connect().await);
    send(&mut stream, &framed(&question(5, "consul.", RecordType::SOA))).await;
    read(&mut stream).await;
    door.close().await;
    assert!(is_closed(&mut stream).await);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_port_that_is_taken_names_the_setting() {
    let door = Door::open().await;
    let options = Options { listen: door.dns.address(), ..Options::default() };
    let refused = bind(options, door.registry.clone(), WallClock::fixed(0)).await.err().unwrap();
    let error = Error::from(refused);
    assert_eq!(error.code(), codes::CANNOT_LISTEN);
    assert!(error.to_string().contains("dns.listen"), "{error}");
    door.close().await;
}
