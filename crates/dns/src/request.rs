//! Reading a question off the wire.

use hickory_proto::op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::DNSClass;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// What came, as far as it could be read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) metadata: Metadata,
    pub(crate) question: Option<Query>,
    pub(crate) edns: Option<Edns>,
    /// Why it is not answered otherwise.
    pub(crate) fault: Option<ResponseCode>,
}

/// Most records that may come with a question: its options, a signature, and one to spare. Nothing of them is looked
/// at but the options.
const MAX_RECORDS: u16 = 3;

impl Request {
    /// `None`: it is not answered at all. It has no whole header, or is an answer itself; two servers that answered
    /// answers would never stop.
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        let mut decoder = BinDecoder::new(packet);
        let header = Header::read(&mut decoder).ok()?;
        if header.metadata.message_type != MessageType::Query {
            return None;
        }
        let mut request = Self { metadata: header.metadata, question: None, edns: None, fault: None };
        // The counts are what the sender says; nothing is made in their size.
        let counts = header.counts;
        let readable = counts.queries == 1
            && counts.answers == 0
            && counts.authorities.saturating_add(counts.additionals) <= MAX_RECORDS;
        let read =
            readable && request.read_rest(&mut decoder, counts.authorities, counts.additionals).is_some();
        request.fault = request.find_fault(read);
        Some(request)
    }

    fn read_rest(&mut self, decoder: &mut BinDecoder<'_>, authorities: u16, additionals: u16) -> Option<()> {
        self.question = Some(Query::read(decoder).ok()?);
        let mut records = |count, additional| {
            Message::read_records(decoder, usize::from(count), additional, OpCode::Query).ok()
        };
        records(authorities, false)?;
        self.edns = records(additionals, true)?.1;
        Some(())
    }

    fn find_fault(&self, read: bool) -> Option<ResponseCode> {
        if self.metadata.op_code != OpCode::Query {
            return Some(ResponseCode::NotImp);
        }
        if !read {
            return Some(ResponseCode::FormErr);
        }
        if self.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return Some(ResponseCode::BADVERS);
        }
        let class = self.question.as_ref()?.query_class();
        (class != DNSClass::IN).then_some(ResponseCode::Refused)
    }
}
