//! Who is told when the endpoints of a service change.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use trellis_core::{EndpointSet, EndpointWatch};

use crate::error::Result;
use crate::model::names::ServiceKey;
use crate::state::{Changed, State};

/// So many channels may lie unused before they are looked through.
const FEW: usize = 64;

/// One channel for each service that is watched. A channel nobody listens to is dropped at the next change, or when
/// as many have come up again as were in use at the last look.
#[derive(Default)]
pub(crate) struct Watches {
    senders: HashMap<ServiceKey, watch::Sender<Arc<EndpointSet>>>,
    sweep_at: usize,
}

impl Watches {
    /// A live view of a service. Refused only if the service is unknown and too many such are watched.
    pub(crate) fn watch(&mut self, service: &ServiceKey, state: &mut State) -> Result<EndpointWatch> {
        if let Some(sender) = self.senders.get(service) {
            return Ok(sender.subscribe());
        }
        if self.senders.len() >= self.sweep_at.max(FEW) {
            self.sweep(state);
        }
        if state.watch(service).is_err() {
            self.sweep(state);
            state.watch(service)?;
        }
        let (sender, receiver) = watch::channel(state.endpoints(service));
        self.senders.insert(service.clone(), sender);
        Ok(receiver)
    }

    /// Hands the new sets to whoever listens.
    pub(crate) fn publish(&mut self, changed: &Changed, state: &mut State) {
        for service in &changed.endpoints {
            let Some(sender) = self.senders.get(service) else { continue };
            if sender.receiver_count() == 0 {
                self.senders.remove(service);
                state.unwatch(service);
            } else {
                sender.send_replace(state.endpoints(service));
            }
        }
    }

    fn sweep(&mut self, state: &mut State) {
        self.senders.retain(|service, sender| {
            let used = sender.receiver_count() > 0;
            if !used {
                state.unwatch(service);
            }
            used
        });
        self.sweep_at = self.senders.len() * 2;
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
            assert!(watches.senders.len() <= FEW);
        }
        assert!(watches.senders.contains_key(&name(0)) && kept.has_changed().is_ok());
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
