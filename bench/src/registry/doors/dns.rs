//! The door for DNS, asked as resolvers do: over UDP, and again if no answer comes.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;

use super::super::act::{COPIES, Service};

/// Wait for an answer before the question is sent once more: a datagram may be lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is sent.
const TRIES: usize = 5;
/// Largest answer without EDNS.
const MAX_ANSWER: usize = 512;

/// A client with a socket of its own.
pub(in super::super) struct Dns {
    address: SocketAddr,
}

impl Dns {
    pub(in super::super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Asks for the addresses of a service, which have to be those of its first instances.
    pub(in super::super) async fn discover(&self, service: Service) -> Result<()> {
        let id = fastrand::u16(..);
        let answer = self.ask(&question(id, service)?, id).await?;
        judge(service, &answer)
    }

    async fn ask(&self, question: &[u8], id: u16) -> Result<Message> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(self.address).await?;
        let mut buffer = [0; MAX_ANSWER];
        for _ in 0..TRIES {
            socket.send(question).await?;
            let Ok(count) = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await else { continue };
            let answer = Message::from_vec(&buffer[..count?]).context("what came is no DNS")?;
            // An answer to the first question may come after the second was sent; it says the same.
            ensure!(answer.metadata.id == id, "an answer to another question");
            return Ok(answer);
        }
        bail!("no answer to {TRIES} questions")
    }
}

fn question(id: u16, service: Service) -> Result<Vec<u8>> {
    let name = Name::from_ascii(format!("{}.service.consul.", service.name()))?;
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name, RecordType::A));
    Ok(message.to_vec()?)
}

fn judge(service: Service, answer: &Message) -> Result<()> {
    let code = answer.metadata.response_code;
    ensure!(code == ResponseCode::NoError && !answer.metadata.truncation, "{code}: {answer}");
    let address = |data: &RData| match data {
        RData::A(address) => Some(address.0),
        _ => None,
    };
    let found: BTreeSet<Ipv4Addr> =
        answer.answers.iter().filter_map(|record| address(&record.data)).collect();
    let wanted: BTreeSet<Ipv4Addr> = (0..COPIES).map(|number| service.copy(number).address()).collect();
    ensure!(found == wanted, "{found:?} instead of {wanted:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::A;

    use super::*;

    #[test]
    fn exactly_the_first_instances_are_a_right_answer() {
        let service = Service(3);
        let mut answer = Message::from_vec(&question(7, service).unwrap()).unwrap();
        assert_eq!(answer.queries[0].name().to_ascii(), "service-0003.service.consul.");
        assert!(judge(service, &answer).is_err(), "nobody");
        for number in 0..COPIES {
            let data = RData::A(A(service.copy(number).address()));
            answer.answers.push(Record::from_rdata(answer.queries[0].name().clone(), 0, data));
        }
        judge(service, &answer).unwrap();
        assert!(judge(Service(4), &answer).is_err(), "somebody else");
        answer.metadata.response_code = ResponseCode::ServFail;
        assert!(judge(service, &answer).is_err());
    }
}
