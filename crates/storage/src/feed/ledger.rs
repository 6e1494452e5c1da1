//! What one transaction announces, from the first word to the commit.

use crate::{Change, Error};

/// The revisions of a transaction. Nothing of it is written before the end, so that work which is taken back leaves
/// no gap.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The head when the transaction took it.
    base: Option<u64>,
    announced: Vec<Change>,
    /// How many were there before the present work.
    mark: usize,
    /// Whether the present work may announce.
    ordered: bool,
}

/// A topic or key is a name, not a document.
const MAX_TOPIC: usize = 64;
const MAX_KEY: usize = 1024;
/// From here on a number of JavaScript is not exact.
const MAX_REVISION: u64 = 1 << 53;

impl Ledger {
    /// A new piece of work begins.
    pub(crate) fn begin_work(&mut self, ordered: bool) {
        self.mark = self.announced.len();
        self.ordered = ordered;
    }

    /// The present work is taken back.
    pub(crate) fn take_back(&mut self) {
        self.announced.truncate(self.mark);
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.ordered
    }

    pub(crate) fn base(&self) -> Option<u64> {
        self.base
    }

    pub(crate) fn set_base(&mut self, head: u64) {
        self.base = Some(head);
    }

    /// Puts an announcement down.
    pub(crate) fn announce(&mut self, base: u64, topic: &str, key: String, max: usize) -> Result<u64, Error> {
        if !self.ordered {
            return Err(Error::Statement(format!(
                "a change of `{topic}` is announced in a plain write; use `write_ordered`"
            )));
        }
        check("topic", topic, MAX_TOPIC)?;
        check("key", &key, MAX_KEY)?;
        if self.announced.len() - self.mark >= max {
            return Err(Error::Invalid(format!("more than {max} announcements in one write")));
        }
        let revision = self.next(base);
        if revision >= MAX_REVISION {
            return Err(Error::Statement("the revisions of the feed are used up".to_owned()));
        }
        self.announced.push(Change { topic: topic.into(), key: key.into(), revision });
        Ok(revision)
    }

    /// The revision that comes next.
    pub(crate) fn next(&self, base: u64) -> u64 {
        base + self.announced.len() as u64 + 1
    }

    /// What is to be written before the commit.
    pub(crate) fn announced(&self) -> &[Change] {
        &self.announced
    }

    /// Empties it for the next transaction.
    pub(crate) fn take(&mut self) -> Vec<Change> {
        std::mem::take(self).announced
    }
}

fn check(what: &str, text: &str, max: usize) -> Result<(), Error> {
    if text.is_empty() || text.len() > max || text.contains('\0') {
        return Err(Error::Invalid(format!(
            "the {what} of an announcement has 1 to {max} bytes and no NUL character; this has {} bytes",
            text.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_follow_each_other_without_gaps() {
        let mut ledger = Ledger::default();
        ledger.begin_work(true);
        assert_eq!(ledger.announce(7, "t", "a".to_owned(), 9), Ok(8));
        assert_eq!(ledger.announce(7, "t", "b".to_owned(), 9), Ok(9));
        ledger.begin_work(true);
        assert_eq!(ledger.announce(7, "t", "c".to_owned(), 9), Ok(10));
        ledger.take_back();
        ledger.begin_work(true);
        assert_eq!(ledger.announce(7, "t", "d".to_owned(), 9), Ok(10));
        let keys: Vec<_> = ledger.take().iter().map(|c| (c.revision, c.key.to_string())).collect();
        assert_eq!(keys, [(8, "a".to_owned()), (9, "b".to_owned()), (10, "d".to_owned())]);
        assert!(ledger.announced().is_empty());
    }

    #[test]
    fn what_may_not_be_announced() {
        let mut ledger = Ledger::default();
        let plain = ledger.announce(0, "t", "a".to_owned(), 9).unwrap_err().to_string();
        assert!(plain.contains("write_ordered"), "{plain}");
        ledger.begin_work(true);
        for (topic, key) in [("", "a"), ("t", ""), ("t", "a\0"), ("t", &"k".repeat(MAX_KEY + 1))] {
            assert!(matches!(ledger.announce(0, topic, key.to_owned(), 9), Err(Error::Invalid(_))));
        }
        assert!(ledger.announce(0, "t", "k".repeat(MAX_KEY), 1).is_ok());
        assert!(matches!(ledger.announce(0, "t", "a".to_owned(), 1), Err(Error::Invalid(_))));
        ledger.begin_work(true);
        assert!(ledger.announce(MAX_REVISION - 3, "t", "a".to_owned(), 1).is_ok());
        ledger.begin_work(true);
        assert!(matches!(
            ledger.announce(MAX_REVISION - 3, "t", "a".to_owned(), 1),
            Err(Error::Statement(_))
        ));
    }
}
