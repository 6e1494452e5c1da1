//! From a packet to the packet that answers it: a pure function of the snapshots, the time and the dice.

use hickory_proto::op::{Edns, Metadata, Query, ResponseCode};
use hickory_proto::rr::{Record, RecordType};

use crate::lookup::{Found, Lookup};
use crate::reply::Reply;
use crate::request::Request;
use crate::snapshots::Snapshots;
use crate::zone::Zone;

/// How a question came, which says how long the answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// As a datagram.
    Udp,
    /// On a connection.
    Tcp,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There is no answer: it was no question, or not even a header.
    Dropped,
    /// The answer is in the buffer.
    Answered {
        /// What was asked for, if that could be read.
        kind: Option<RecordType>,
        /// What was answered.
        code: ResponseCode,
        /// Something had to be left out, and the answer says so.
        truncated: bool,
    },
}

/// The smallest records: a pointer to the name, ten bytes, and an address.
const SMALLEST: usize = 16;

/// Answers a packet: `out` is emptied and has the answer afterwards, in at most as many bytes as the asker takes. The
/// same packet, snapshots, time and dice give the same answer.
pub fn answer(
    packet: &[u8],
    transport: Transport,
    zone: &Zone,
    snapshots: &impl Snapshots,
    unix_s: u32,
    random: &mut fastrand::Rng,
    out: &mut Vec<u8>,
) -> Outcome {
    out.clear();
    let Some(request) = Request::read(packet) else { return Outcome::Dropped };
    let limit = request.limit(transport, zone);
    let found = match (&request.question, request.fault) {
        (Some(question), None) => {
            let mut most = usize::from(limit) / SMALLEST + 1;
            let is_plain = transport == Transport::Udp && request.edns.is_none();
            if is_plain && zone.udp_answer_limit > 0 {
                most = most.min(zone.udp_answer_limit);
            }
            let mut lookup = Lookup { zone, snapshots, unix_s, random, most };
            Ok(lookup.find(question.name(), question.query_type()))
        }
        (_, fault) => Err(fault.unwrap_or(ResponseCode::FormErr)),
    };
    request.reply(found, zone, limit, out)
}

impl Request {
    /// What the asker takes, but over UDP never more than is set.
    fn limit(&self, transport: Transport, zone: &Zone) -> u16 {
        match (transport, &self.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(edns)) => edns.max_payload().clamp(512, zone.max_udp_bytes),
        }
    }

    fn reply(
        &self,
        found: Result<Found, ResponseCode>,
        zone: &Zone,
        limit: u16,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let mut metadata = Metadata::response_from_request(&self.metadata);
        let found = match found {
            Ok(found) => {
                metadata.authoritative =
                    !matches!(found.code, ResponseCode::Refused | ResponseCode::ServFail);
                found
            }
            Err(code) => Found { code, ..Found::default() },
        };
        metadata.response_code = found.code;
        let (answers, authorities, additionals): (&[Record], &[Record], &[Record]) =
            (&found.answers, &found.authorities, &found.additionals);
        let edns = self.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(zone.max_udp_bytes).set_dnssec_ok(asked.flags().dnssec_ok);
            edns
        });
        let question = self.question.as_ref();
        let reply = Reply { metadata, question, answers, authorities, additionals, edns };
        let Ok(truncated) = reply.write(limit, out) else {
            // Every question fits the smallest answer, so this is a fault of ours; half an answer would be worse.
            out.clear();
            return Outcome::Dropped;
        };
        Outcome::Answered { kind: question.map(Query::query_type), code: found.code, truncated }
    }
}
