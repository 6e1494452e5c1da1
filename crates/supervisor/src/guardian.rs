//! A process that outlives the supervisor by a moment, and takes what it leaves behind with it.
//!
//! The kernel kills the children of a supervisor that dies, but not their children. So the guardian is told of every
//! process group, and kills those that are left when the supervisor's end of the pipe closes. A process that left its
//! group (a daemon) is out of its reach.

use std::collections::HashSet;
use std::io::{self, Read};

use rustix::process::{Pid, Signal, kill_process_group};

/// What the guardian is told: a word and the group it is about.
const RECORD: usize = 5;

/// A word to the guardian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// The group exists.
    Add = b'+' as isize,
    /// The group is gone.
    Remove = b'-' as isize,
}

/// Writes a record.
pub(crate) fn record(word: Word, group: Pid) -> [u8; RECORD] {
    let [a, b, c, d] = group.as_raw_nonzero().get().to_le_bytes();
    [word as u8, a, b, c, d]
}

/// Reads process groups from standard input until it ends, then kills those that still exist.
pub fn run() -> io::Result<()> {
    let mut result = Ok(());
    for group in left_behind(io::stdin().lock()) {
        match kill_process_group(group, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => result = Err(error.into()),
        }
    }
    result
}

fn left_behind(mut input: impl Read) -> HashSet<Pid> {
    let mut groups = HashSet::new();
    let mut record = [0; RECORD];
    // An error is an end as well: either way nobody looks after the groups any more.
    while input.read_exact(&mut record).is_ok() {
        let [word, id @ ..] = record;
        // 1 would mean "every process".
        let Some(group) = Pid::from_raw(i32::from_le_bytes(id)).filter(|group| !group.is_init()) else {
            continue;
        };
        if word == Word::Add as u8 {
            groups.insert(group);
        } else {
            groups.remove(&group);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_not_removed_is_left_behind() {
        let pid = |raw| Pid::from_raw(raw).unwrap();
        let words = [
            (Word::Add, pid(70_000)),
            (Word::Add, pid(2)),
            (Word::Add, pid(1)),
            (Word::Remove, pid(2)),
            (Word::Remove, pid(3)),
            (Word::Add, pid(4)),
        ];
        let mut input: Vec<u8> = words.into_iter().flat_map(|(word, group)| record(word, group)).collect();
        input.extend([b'+', 1]);
        assert_eq!(left_behind(&*input), HashSet::from([pid(4), pid(70_000)]));
    }
}
