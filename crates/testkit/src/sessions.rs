//! What was seen of sessions and of the nodes that they depend on, and whether it can be true.

use std::time::Duration;

/// What a session that nobody ends lasts as long as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bond {
    /// This time, whatever becomes of nodes: its time to live.
    Time(Duration),
    /// This node: it has no time to live and depends on the node's health.
    Node(String),
    /// Nothing: it has no time to live and depends on nothing that goes away.
    Nothing,
}

/// How long a session lasts for sure. All times are of one clock, from any one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// When the last of those requests was sent whose answer said that the session was there.
    pub since: Duration,
    /// What it lasts as long as.
    pub bond: Bond,
}

/// A time in which a node was away, as whoever took it away knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// Which.
    pub node: String,
    /// Just before it was taken away.
    pub from: Duration,
    /// When it had come back for sure; none while it is away.
    pub until: Option<Duration>,
}

/// Somebody was told that a session is over, which nobody had asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub session: String,
    /// What was told, for people.
    pub what: String,
    /// As it was known by then.
    pub life: Life,
    /// When it was told.
    pub told: Duration,
}

/// All that was seen.
#[derive(Debug, Clone, Default)]
pub struct SessionHistory {
    /// In any order.
    pub absences: Vec<Absence>,
    /// In any order.
    pub ended: Vec<Ended>,
    /// No absence that is shorter may be noticed by anybody.
    pub unnoticed: Duration,
    /// So long after an absence others may not know yet that it is over.
    pub settles: Duration,
    /// So much later a node may hear that another has ended a session without a time to live.
    pub lag: Duration,
}

impl SessionHistory {
    /// Up to when a session is there for sure, unless a client ends it.
    pub fn lasts(&self, life: &Life) -> Duration {
        match &life.bond {
            Bond::Time(ttl) => life.since.saturating_add(*ttl),
            Bond::Node(node) => {
                let may_end = self.absences.iter().filter(|absence| {
                    absence.node == *node
                        && absence.until.is_none_or(|until| {
                            // Whoever was still there later has outlived it.
                            until + self.settles >= life.since && until >= absence.from + self.unnoticed
                        })
                });
                let since = life.since.saturating_sub(self.lag);
                may_end.map(|absence| absence.from.max(since)).min().unwrap_or(Duration::MAX)
            }
            Bond::Nothing => Duration::MAX,
        }
    }

    /// Everything about it that cannot be true, in words: sessions that were said to be over while they were there for sure.
    pub fn violations(&self) -> Vec<String> {
        let early = self.ended.iter().filter(|ended| ended.told < self.lasts(&ended.life));
        early.map(|ended| format!("a session ended before its time: {ended:?}")).collect()
    }

    /// How many sessions have ended with their node, as they may.
    pub fn ended_with_nodes(&self) -> usize {
        let with_node = |ended: &&Ended| {
            matches!(ended.life.bond, Bond::Node(_)) && ended.told >= self.lasts(&ended.life)
        };
        let sessions = self.ended.iter().filter(with_node).map(|ended| &ended.session);
        sessions.collect::<std::collections::BTreeSet<_>>().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn node(name: &str) -> Bond {
        Bond::Node(name.into())
    }

    /// Node `a` is away from 10 to 20, and from 100 on; `b` is, for a moment, at 10.
    fn history(ended: &[(u64, Bond, u64)]) -> SessionHistory {
        let absence = |node: &str, from, until: Option<u64>| Absence {
            node: node.into(),
            from: at(from),
            until: until.map(at),
        };
        let ended = ended.iter().enumerate().map(|(number, (since, bond, told))| Ended {
            session: number.to_string(),
            what: "told".into(),
            life: Life { since: at(*since), bond: bond.clone() },
            told: at(*told),
        });
        SessionHistory {
            absences: vec![absence("b", 10, Some(11)), absence("a", 100, None), absence("a", 10, Some(20))],
            ended: ended.collect(),
            unnoticed: at(3),
            settles: at(5),
            lag: at(1),
        }
    }

    #[track_caller]
    fn is_early(since: u64, bond: Bond, told: u64) {
        let found = history(&[(since, bond, told)]).violations();
        assert!(found.len() == 1 && found[0].starts_with("a session ended before its time"), "{found:?}");
    }

    #[track_caller]
    fn is_fine(since: u64, bond: Bond, told: u64) {
        assert_eq!(history(&[(since, bond, told)]).violations(), [""; 0]);
    }

    #[test]
    fn one_with_a_time_lasts_as_long_whatever_becomes_of_nodes() {
        is_early(5, Bond::Time(at(10)), 14);
        is_early(105, Bond::Time(at(10)), 114);
        is_fine(5, Bond::Time(at(10)), 15);
    }

    #[test]
    fn one_of_a_node_ends_with_its_absence_and_not_before() {
        is_early(5, node("a"), 9);
        is_fine(5, node("a"), 10);
        is_fine(5, node("a"), 30);
        // It was begun or seen while the node was away, or before all knew of its return.
        is_fine(15, node("a"), 17);
        is_fine(25, node("a"), 26);
        is_fine(50, node("a"), 101);
    }

    #[test]
    fn one_that_outlived_an_absence_does_not_end_for_it_later() {
        is_early(26, node("a"), 27);
        is_early(26, node("a"), 99);
    }

    #[test]
    fn one_does_not_end_for_another_node_nor_for_a_moment_nor_for_nothing() {
        is_early(5, node("c"), 15);
        is_early(5, node("b"), 15);
        is_early(5, Bond::Nothing, 15);
        is_early(5, Bond::Nothing, 1000);
    }

    #[test]
    fn those_that_ended_with_their_node_are_counted_once() {
        let mut history =
            history(&[(5, node("a"), 15), (5, node("a"), 9), (5, Bond::Time(at(1)), 9), (5, node("b"), 15)]);
        history.ended.push(history.ended[0].clone());
        assert_eq!(history.ended_with_nodes(), 1);
        assert_eq!(history.violations().len(), 2);
    }

    #[test]
    fn a_life_that_was_seen_in_an_absence_lasts_until_then() {
        let history = history(&[]);
        let lasts = |since, bond| history.lasts(&Life { since: at(since), bond });
        assert_eq!(lasts(5, node("a")), at(10));
        assert_eq!(lasts(18, node("a")), at(17), "whoever said so at 18 knew what was so at 17");
        assert_eq!(lasts(40, node("a")), at(100));
        assert_eq!((lasts(5, node("b")), lasts(5, Bond::Nothing)), (Duration::MAX, Duration::MAX));
        assert_eq!(lasts(5, Bond::Time(at(3))), at(8));
    }
}
