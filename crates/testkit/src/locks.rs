//! What the clients of a lock saw, and whether it can be true.

use std::collections::BTreeMap;
use std::time::Duration;

/// One hold of a lock, as its client saw it. All times are of one clock, from any one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Who has it: the session, which nobody has twice.
    pub session: String,
    /// The fencing token that came with it.
    pub token: u64,
    /// When it was asked for.
    pub asked: Duration,
    /// When the answer was there that it is held.
    pub granted: Duration,
    /// Up to when nobody else may have it: when the client asked to release it, or as long as the session, as last
    /// acknowledged, and the delay after its end had to last.
    pub until: Duration,
}

/// A write to what the lock guards. That refuses a token which is smaller than one it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// Under which token.
    pub token: u64,
    /// When.
    pub at: Duration,
    /// Whether it was taken.
    pub taken: bool,
}

/// What all clients saw of one lock.
#[derive(Debug, Clone, Default)]
pub struct LockHistory {
    /// In any order.
    pub holds: Vec<Hold>,
    /// In the order in which they were judged.
    pub writes: Vec<Write>,
}

impl Hold {
    /// A moment at which a session had the lock for sure.
    pub fn moment(session: impl Into<String>, token: u64, at: Duration) -> Self {
        Self { session: session.into(), token, asked: at, granted: at, until: at }
    }
}

impl LockHistory {
    /// How many different holds there were.
    pub fn count(&self) -> usize {
        self.holds.iter().map(|hold| hold.token).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Everything about it that cannot be true of a lock that has one holder, in words:
    ///
    /// - two sessions have it at one moment,
    /// - two sessions have one token,
    /// - who asked after another had been answered has not got a larger token,
    /// - a write under a token is taken after one under a larger token,
    /// - a write of the holder is refused, so somebody else has written under a later token.
    pub fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.tokens(&mut found);
        self.overlaps(&mut found);
        self.order(&mut found);
        self.fences(&mut found);
        found
    }

    fn tokens(&self, found: &mut Vec<String>) {
        let mut holders: BTreeMap<u64, &Hold> = BTreeMap::new();
        for hold in &self.holds {
            let first = holders.entry(hold.token).or_insert(hold);
            if first.session != hold.session {
                found.push(format!("one token for two: {first:?} and {hold:?}"));
            }
        }
    }

    fn overlaps(&self, found: &mut Vec<String>) {
        let mut holds: Vec<&Hold> = self.holds.iter().filter(|hold| hold.granted <= hold.until).collect();
        holds.sort_by_key(|hold| hold.granted);
        let mut longest: Option<&Hold> = None;
        for hold in holds {
            if let Some(before) = longest
                && before.until > hold.granted
                && before.session != hold.session
            {
                found.push(format!("held twice at once: {before:?} and {hold:?}"));
            }
            if longest.is_none_or(|before| before.until < hold.until) {
                longest = Some(hold);
            }
        }
    }

    fn order(&self, found: &mut Vec<String>) {
        let mut by_answer: Vec<&Hold> = self.holds.iter().collect();
        by_answer.sort_by_key(|hold| hold.granted);
        let mut by_question = by_answer.clone();
        by_question.sort_by_key(|hold| hold.asked);
        let mut answered = by_answer.into_iter().peekable();
        let mut largest: Option<&Hold> = None;
        for hold in by_question {
            while let Some(before) = answered.next_if(|before| before.granted < hold.asked) {
                if largest.is_none_or(|largest| largest.token < before.token) {
                    largest = Some(before);
                }
            }
            if let Some(before) = largest.filter(|before| before.token > hold.token) {
                found.push(format!("a smaller token was given later: {before:?}, then {hold:?}"));
            }
        }
    }

    fn fences(&self, found: &mut Vec<String>) {
        let mut largest = 0;
        for write in &self.writes {
            if write.taken && write.token < largest {
                found.push(format!("taken after one under the token {largest}: {write:?}"));
            }
            if write.taken {
                largest = largest.max(write.token);
                continue;
            }
            let holds = |hold: &&Hold| {
                hold.token == write.token && hold.granted <= write.at && write.at <= hold.until
            };
            if let Some(hold) = self.holds.iter().find(holds) {
                found.push(format!("the holder was refused: {write:?} of {hold:?}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn hold(session: &str, token: u64, asked: u64, granted: u64, until: u64) -> Hold {
        Hold { session: session.into(), token, asked: ms(asked), granted: ms(granted), until: ms(until) }
    }

    fn write(token: u64, at: u64, taken: bool) -> Write {
        Write { token, at: ms(at), taken }
    }

    fn violations(holds: &[Hold], writes: &[Write]) -> Vec<String> {
        LockHistory { holds: holds.into(), writes: writes.into() }.violations()
    }

    /// One fault, told so.
    #[track_caller]
    fn is_found(text: &str, holds: &[Hold], writes: &[Write]) {
        let found = violations(holds, writes);
        assert!(found.len() == 1 && found[0].starts_with(text), "{found:?}");
    }

    #[test]
    fn a_history_that_can_be_true_is_accepted_in_any_order() {
        // `b` asked while `a` still had it, and was answered later; `c` came back to its lock.
        let holds = [
            hold("c", 7, 30, 31, 40),
            hold("c", 7, 35, 36, 50),
            hold("a", 1, 0, 1, 10),
            hold("b", 2, 5, 20, 29),
            // It was granted so late that it had ended by then: nobody can say who else has it.
            hold("d", 8, 45, 70, 60),
            hold("e", 9, 61, 62, 80),
        ];
        let writes = [write(1, 5, true), write(2, 21, true), write(1, 22, false), write(7, 36, true)];
        assert_eq!(violations(&holds, &writes), [""; 0]);
        let history = LockHistory { holds: holds.into(), writes: Vec::new() };
        assert_eq!(history.count(), 5);
    }

    #[test]
    fn two_holders_at_once_are_found() {
        is_found("held twice", &[hold("a", 1, 0, 1, 10), hold("b", 2, 5, 9, 20)], &[]);
        // One that lasts long is not forgotten over a short one.
        let long = [hold("a", 1, 0, 1, 100), hold("a", 1, 10, 11, 12), hold("b", 2, 50, 51, 52)];
        is_found("held twice", &long, &[]);
    }

    #[test]
    fn a_token_that_is_given_twice_is_found() {
        is_found("one token", &[hold("a", 1, 0, 1, 10), hold("b", 1, 20, 21, 30)], &[]);
    }

    #[test]
    fn tokens_that_do_not_grow_are_found() {
        is_found("a smaller token", &[hold("a", 2, 0, 1, 10), hold("b", 1, 20, 21, 30)], &[]);
        // Who asked before the other was answered may have been first.
        assert_eq!(violations(&[hold("a", 2, 0, 21, 22), hold("b", 1, 0, 1, 10)], &[]), [""; 0]);
    }

    #[test]
    fn moments_are_judged_as_well() {
        let moments = |tokens: &[(u64, u64)]| -> Vec<Hold> {
            tokens.iter().map(|(at, token)| Hold::moment(token.to_string(), *token, ms(*at))).collect()
        };
        assert_eq!(violations(&moments(&[(1, 1), (2, 1), (3, 2), (4, 5)]), &[]), [""; 0]);
        is_found("a smaller token", &moments(&[(1, 1), (2, 2), (3, 1)]), &[]);
    }

    #[test]
    fn a_fence_that_lets_through_or_refuses_the_wrong_one_is_found() {
        let holds = [hold("a", 1, 0, 1, 10), hold("b", 2, 20, 21, 30)];
        is_found("taken after", &holds, &[write(2, 21, true), write(1, 22, true)]);
        is_found("the holder was refused", &holds, &[write(2, 21, false)]);
        // Its time was over.
        assert_eq!(violations(&holds, &[write(2, 22, true), write(1, 23, false)]), [""; 0]);
    }
}
