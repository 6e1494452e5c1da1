//! Who waits for what, one broadcast for each topic.

use std::collections::HashMap;

use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::model::topic::Topic;
use crate::state::{Changed, State};

/// So many channels may lie unused before they are looked through.
const FEW: usize = 64;

/// One channel for each topic that is waited for. One that nobody listens to is dropped at the next change, or when as
/// many have come up again as were in use at the last look.
#[derive(Default)]
pub(crate) struct Topics {
    senders: HashMap<Topic, watch::Sender<u64>>,
    sweep_at: usize,
}

impl Topics {
    /// A live index of a topic, of which there may be so many.
    pub(crate) fn subscribe(
        &mut self,
        topic: &Topic,
        state: &State,
        most: usize,
    ) -> Result<watch::Receiver<u64>> {
        if let Some(sender) = self.senders.get(topic) {
            return Ok(sender.subscribe());
        }
        if self.senders.len() >= self.sweep_at.max(FEW) || self.senders.len() >= most {
            self.senders.retain(|_, sender| sender.receiver_count() > 0);
            self.sweep_at = self.senders.len() * 2;
        }
        if self.senders.len() >= most {
            return Err(Error::TooManyTopics(most));
        }
        let (sender, receiver) = watch::channel(state.topic_index(topic));
        self.senders.insert(topic.clone(), sender);
        Ok(receiver)
    }

    /// Tells those who wait for what a step changed.
    pub(crate) fn publish(&mut self, changed: &Changed) {
        if self.senders.is_empty() || changed.index == 0 {
            return;
        }
        for topic in changed.topics() {
            let Some(sender) = self.senders.get(&topic) else { continue };
            if sender.receiver_count() == 0 {
                self.senders.remove(&topic);
            } else {
                sender.send_replace(changed.index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::model::names::Name;
    use crate::options::Options;
    use crate::state::{Now, Overrides};

    #[test]
    fn channels_that_nobody_uses_do_not_pile_up_and_those_in_use_are_bounded() {
        let now = Now { instant: Instant::now(), unix_ms: 0, random: 0.5 };
        let state = State::new(&Options::default(), Overrides::default(), 7, now);
        let mut topics = Topics::default();
        let topic = |n: usize| Topic::Node(format!("n{n}").parse::<Name>().unwrap());
        let kept = topics.subscribe(&topic(0), &state, 1000).unwrap();
        assert_eq!(*kept.borrow(), 7);
        for n in 1..10_000 {
            topics.subscribe(&topic(n), &state, 1000).unwrap();
            assert!(topics.senders.len() <= FEW);
        }
        let held: Vec<_> = (0..1000).map(|n| topics.subscribe(&topic(n), &state, 1000).unwrap()).collect();
        assert!(matches!(topics.subscribe(&topic(1000), &state, 1000), Err(Error::TooManyTopics(1000))));
        drop(held);
        assert!(topics.subscribe(&topic(1000), &state, 1000).is_ok());
    }
}
