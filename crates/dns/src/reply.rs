//! Writing an answer: as much of it as fits.

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, EmitAndCount, Metadata, Query, emit_message_parts};
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::BinEncoder;

/// An answer before it is bytes.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) metadata: Metadata,
    pub(crate) question: Option<&'a Query>,
    pub(crate) answers: &'a [Record],
    pub(crate) authorities: &'a [Record],
    pub(crate) additionals: &'a [Record],
    pub(crate) edns: Option<Edns>,
}

/// What an OPT record without options takes.
const OPT: u16 = 11;

/// Records of which as many are written as there is room for.
struct Section<'a> {
    records: &'a [Record],
    /// Largest message once they are written.
    most: u16,
    /// Largest message from then on.
    then: u16,
    /// They were asked for. What merely helps is left out without a word (RFC 2181, section 9).
    asked: bool,
}

impl Reply<'_> {
    /// Writes it into `out`, which is emptied before, in at most `limit` bytes. Whether something that was asked for
    /// had to be left out; the message says so, too.
    pub(crate) fn write(&self, limit: u16, out: &mut Vec<u8>) -> Result<bool, ProtoError> {
        out.clear();
        let room = limit.saturating_sub(if self.edns.is_some() { OPT } else { 0 });
        let section = |records, then, asked| Section { records, most: room, then, asked };
        let mut encoder = BinEncoder::new(out);
        encoder.set_max_size(room);
        let header = emit_message_parts(
            &self.metadata,
            &mut self.question.into_iter(),
            &mut section(self.answers, room, true),
            &mut section(self.authorities, room, false),
            &mut section(self.additionals, limit, false),
            self.edns.as_ref(),
            None,
            &mut encoder,
        )?;
        // A record that did not fit has left bytes behind the end.
        let end = encoder.offset();
        out.truncate(end);
        Ok(header.metadata.truncation)
    }
}

impl EmitAndCount for Section<'_> {
    fn emit(&mut self, encoder: &mut BinEncoder<'_>) -> Result<usize, ProtoError> {
        encoder.set_max_size(self.most);
        let written = encoder.emit_all(self.records.iter());
        encoder.set_max_size(self.then);
        match written {
            Err(ProtoError::NotAllRecordsWritten { count, .. }) if !self.asked => Ok(count),
            written => written,
        }
    }
}
