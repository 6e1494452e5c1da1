//! Events within a process: never waited for, dropped when a subscriber is full.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::{self, error::TrySendError};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The topic it was published on.
    pub topic: String,
    /// What the publisher said.
    pub data: Value,
}

/// Delivers events to the subscribers of their topic in this process. Publishing never waits: a subscriber whose
/// queue is full misses the event, and the miss is counted. What must not be lost goes through a durable outbox
/// instead. Clones share the subscribers.
#[derive(Debug, Clone, Default)]
pub struct EventBus(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    topics: Mutex<HashMap<String, Vec<mpsc::Sender<Arc<Event>>>>>,
    dropped: AtomicU64,
}

/// One subscriber's queue. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription(mpsc::Receiver<Arc<Event>>);

impl EventBus {
    /// Subscribes to `topic` with a queue of `capacity` events (at least one).
    pub fn subscribe(&self, topic: &str, capacity: usize) -> Subscription {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        self.lock().entry(topic.to_owned()).or_default().push(sender);
        Subscription(receiver)
    }

    /// Gives the event to every subscriber that has room, and tells how many that were. An event that cannot be
    /// written as JSON reaches nobody and counts as dropped.
    pub fn publish(&self, topic: &str, data: &impl Serialize) -> usize {
        let mut topics = self.lock();
        let Some(subscribers) = topics.get_mut(topic) else {
            return 0;
        };
        let Ok(data) = serde_json::to_value(data) else {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return 0;
        };
        let event = Arc::new(Event { topic: topic.to_owned(), data });
        let mut reached = 0;
        subscribers.retain(|subscriber| match subscriber.try_send(event.clone()) {
            Ok(()) => {
                reached += 1;
                true
            }
            Err(TrySendError::Full(_)) => {
                self.0.dropped.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        });
        if subscribers.is_empty() {
            topics.remove(topic);
        }
        reached
    }

    /// How many deliveries were dropped since the bus was made.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<mpsc::Sender<Arc<Event>>>>> {
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The next event; `None` once the bus is gone.
    pub async fn recv(&mut self) -> Option<Arc<Event>> {
        self.0.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_subscriber_misses_and_is_counted() {
        let bus = EventBus::default();
        let (mut slow, mut fast) = (bus.subscribe("order", 1), bus.subscribe("order", 8));
        assert_eq!(bus.publish("order", &1), 2);
        assert_eq!(bus.publish("order", &2), 1);
        assert_eq!(bus.publish("other", &3), 0);
        assert_eq!(bus.dropped(), 1);
        assert_eq!(slow.recv().await.unwrap().data, 1);
        assert_eq!(
            (fast.recv().await.unwrap().data.clone(), fast.recv().await.unwrap().data.clone()),
            (1.into(), 2.into())
        );
        drop(fast);
        assert_eq!(bus.publish("order", &4), 1);
    }
}
