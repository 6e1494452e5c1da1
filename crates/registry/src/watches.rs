//! Who is told when the endpoints of a service change.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use trellis_core::{EndpointSet, EndpointWatch};

use crate::broadcast::{Broadcast, Sleepers};
use crate::error::Result;
use crate::model::names::ServiceKey;
use crate::state::{Changed, State};

/// So many channels may lie unused before they are looked through.
const FEW: usize = 64;

/// The channels of each service that is watched. Those that nobody listens to are dropped at the next change, or when
/// as many have come up again as were in use at the last look.
#[derive(Default)]
pub(crate) struct Watches {
    channels: HashMap<ServiceKey, Channel>,
    sweep_at: usize,
}

struct Channel {
    /// For who looks at the set when it needs it.
    sets: watch::Sender<Arc<EndpointSet>>,
    /// For who passes it on.
    broadcast: Arc<Broadcast>,
}

impl Watches {
    /// A live view of a service. Refused only if the service is unknown and too many such are watched.
    pub(crate) fn watch(&mut self, service: &ServiceKey, state: &mut State) -> Result<EndpointWatch> {
        Ok(self.channel(service, state)?.sets.subscribe())
    }

    /// The same for one of many who pass it on.
    pub(crate) fn broadcast(&mut self, service: &ServiceKey, state: &mut State) -> Result<Arc<Broadcast>> {
        Ok(self.channel(service, state)?.broadcast.clone())
    }

    fn channel(&mut self, service: &ServiceKey, state: &mut State) -> Result<&Channel> {
        if !self.channels.contains_key(service) {
            if self.channels.len() >= self.sweep_at.max(FEW) {
                self.sweep(state);
            }
            if state.watch(service).is_err() {
                self.sweep(state);
                state.watch(service)?;
            }
        }
        let new = || {
            let set = state.endpoints(service);
            Channel { broadcast: Arc::new(Broadcast::new(set.clone())), sets: watch::Sender::new(set) }
        };
        Ok(self.channels.entry(service.clone()).or_insert_with(new))
    }

    /// Puts the new sets where whoever listens sees them, and adds those to `wake` who have to be woken.
    pub(crate) fn publish(&mut self, changed: &Changed, state: &mut State, wake: &mut Vec<Sleepers>) {
        for service in &changed.endpoints {
            let Some(channel) = self.channels.get(service) else { continue };
            if channel.is_used() {
                let set = state.endpoints(service);
                wake.push(channel.broadcast.replace(set.clone()));
                channel.sets.send_replace(set);
            } else {
                self.channels.remove(service);
                state.unwatch(service);
            }
        }
    }

    /// Ends what is passed on: nothing more will come.
    pub(crate) fn end(&self) -> Vec<Sleepers> {
        self.channels.values().map(|channel| channel.broadcast.end()).collect()
    }

    fn sweep(&mut self, state: &mut State) {
        self.channels.retain(|service, channel| {
            let used = channel.is_used();
            if !used {
                state.unwatch(service);
            }
            used
        });
        self.sweep_at = self.channels.len() * 2;
    }
}

impl Channel {
    fn is_used(&self) -> bool {
        self.sets.receiver_count() > 0 || Arc::strong_count(&self.broadcast) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::Name;
    use crate::options::Options;
    use crate::state::{Now, Overrides};

    fn name(n: usize) -> ServiceKey {
        ServiceKey::of(format!("s{n}").parse::<Name>().unwrap())
    }

    fn state(options: &Options) -> State {
        let now = Now { instant: tokio::time::Instant::now(), unix_ms: 0, random: 0.5 };
        State::new(options, Overrides::default(), 0, now)
    }

    #[test]
    fn channels_that_nobody_uses_do_not_pile_up() {
        let mut state = state(&Options::default());
        let mut watches = Watches::default();
        let kept = watches.watch(&name(0), &mut state).unwrap();
        for n in 1..10_000 {
            watches.watch(&name(n), &mut state).unwrap();
            assert!(watches.channels.len() <= FEW);
        }
        assert!(watches.channels.contains_key(&name(0)) && kept.has_changed().is_ok());
    }

    #[test]
    fn unknown_services_in_use_are_bounded_and_give_way_when_unused() {
        let options = Options { max_unknown_watches: 3, ..Options::default() };
        let mut state = state(&options);
        let mut watches = Watches::default();
        let mut held: Vec<_> = (0..3).map(|n| watches.watch(&name(n), &mut state).unwrap()).collect();
        assert!(watches.watch(&name(3), &mut state).is_err());
        assert!(watches.watch(&name(2), &mut state).is_ok(), "watched already");
        held.pop();
        assert!(watches.watch(&name(3), &mut state).is_ok());
    }
}
