//! What the door counts.

use std::sync::atomic::{AtomicU64, Ordering};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::answer::Outcome;

/// Types of questions that are counted by themselves.
const KINDS: [(RecordType, &str); 9] = [
    (RecordType::A, "A"),
    (RecordType::AAAA, "AAAA"),
    (RecordType::SRV, "SRV"),
    (RecordType::ANY, "ANY"),
    (RecordType::TXT, "TXT"),
    (RecordType::PTR, "PTR"),
    (RecordType::CNAME, "CNAME"),
    (RecordType::NS, "NS"),
    (RecordType::SOA, "SOA"),
];
/// All others, and those that could not be read.
const OTHER: &str = "other";

const CODES: [(ResponseCode, &str); 7] = [
    (ResponseCode::NoError, "NOERROR"),
    (ResponseCode::FormErr, "FORMERR"),
    (ResponseCode::ServFail, "SERVFAIL"),
    (ResponseCode::NXDomain, "NXDOMAIN"),
    (ResponseCode::NotImp, "NOTIMP"),
    (ResponseCode::Refused, "REFUSED"),
    (ResponseCode::BADVERS, "BADVERS"),
];

/// What the door has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Questions that were answered, by type and code: `queries[type][code]`, see [`Self::by_kind_and_code`].
    queries: [[u64; CODES.len()]; KINDS.len() + 1],
    /// Answers that had to leave something out.
    pub truncated: u64,
    /// Packets that got no answer: no question, too long, or too short for a header.
    pub malformed: u64,
    /// Answers that the system did not take in time.
    pub unsent: u64,
    /// Connections that are open.
    pub open_connections: u64,
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that were closed at once because there were too many.
    pub refused_connections: u64,
    /// Connections that were closed because nothing came, or nothing was taken.
    pub idle_connections: u64,
}

impl Stats {
    /// How many questions there were of each type, and what was answered; without those of which there were none.
    pub fn by_kind_and_code(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let kinds = KINDS.iter().map(|(_, name)| *name).chain([OTHER]);
        kinds.zip(self.queries).flat_map(|(kind, codes)| {
            let counted = CODES.iter().zip(codes).filter(|(_, count)| *count > 0);
            counted.map(move |((_, code), count)| (kind, *code, count))
        })
    }

    /// Questions that were answered.
    pub fn queries(&self) -> u64 {
        self.queries.iter().flatten().sum()
    }

    /// Questions that were answered with this code, such as `REFUSED`.
    pub fn answered(&self, code: &str) -> u64 {
        self.by_kind_and_code().filter(|(_, known, _)| *known == code).map(|(_, _, count)| count).sum()
    }
}

/// The counting itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    queries: [[AtomicU64; CODES.len()]; KINDS.len() + 1],
    truncated: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) unsent: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) idle: AtomicU64,
}

impl Counters {
    pub(crate) fn count(&self, outcome: Outcome) {
        let Outcome::Answered { kind, code, truncated } = outcome else {
            add(&self.malformed);
            return;
        };
        let kind = KINDS.iter().position(|(known, _)| Some(*known) == kind).unwrap_or(KINDS.len());
        let code = CODES.iter().position(|(known, _)| *known == code);
        if let Some(counter) = code.and_then(|code| self.queries.get(kind)?.get(code)) {
            add(counter);
        }
        if truncated {
            add(&self.truncated);
        }
    }

    pub(crate) fn read(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            queries: self.queries.each_ref().map(|codes| codes.each_ref().map(get)),
            truncated: get(&self.truncated),
            malformed: get(&self.malformed),
            unsent: get(&self.unsent),
            open_connections: get(&self.open),
            connections: get(&self.connections),
            refused_connections: get(&self.refused),
            idle_connections: get(&self.idle),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_type_and_code() {
        let counters = Counters::default();
        let answered = |kind, code, truncated| Outcome::Answered { kind, code, truncated };
        counters.count(answered(Some(RecordType::A), ResponseCode::NoError, true));
        counters.count(answered(Some(RecordType::A), ResponseCode::NXDomain, false));
        counters.count(answered(Some(RecordType::MX), ResponseCode::NoError, false));
        counters.count(answered(None, ResponseCode::FormErr, false));
        counters.count(Outcome::Dropped);
        let stats = counters.read();
        let counts: Vec<_> = stats.by_kind_and_code().collect();
        let expected =
            [("A", "NOERROR", 1), ("A", "NXDOMAIN", 1), ("other", "NOERROR", 1), ("other", "FORMERR", 1)];
        assert_eq!(counts, expected);
        assert_eq!((stats.queries(), stats.answered("NOERROR")), (4, 2));
        assert_eq!((stats.truncated, stats.malformed), (1, 1));
    }
}
