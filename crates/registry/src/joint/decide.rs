//! What a member decides by itself: leases end, the dead are removed, what nobody looks after is taken over. Here it is
//! only asked for; it is done when it is written.

use tokio::sync::oneshot;
use tracing::info;
use trellis_storage::members;

use super::{ASLEEP, Joint};
use crate::orders::{Order, Request, Why};
use crate::rows::Named;
use crate::service::tell;
use crate::state::{Dirty, Intent, State};

impl Joint {
    /// Ends the leases that have ended, once that is written.
    pub(super) fn expire(&mut self) {
        let now = self.shared.now();
        self.reap_after = now.instant + self.shared.options.reap_interval;
        let epoch = self.members.epoch();
        if !self.members.is_live() {
            self.lapsed = true;
            return;
        }
        let late = self.shared.read(State::next_deadline).is_some_and(|at| at + ASLEEP < now.instant);
        if late || self.lapsed {
            self.lapsed = false;
            info!("leases begin anew: this member was away, and cannot know who renewed meanwhile");
            self.shared.make(|state| state.restart_leases(now));
        }
        let found = self.shared.expire();
        tell(&found);
        self.reap_after = now.instant + found.pause(&self.shared.options);
        for intent in found.intents {
            let order = match intent {
                Intent::End(key) => Order::End(key, epoch),
                Intent::Purge(key) => Order::Purge(key, Why::Over, epoch),
            };
            self.next.push_back(request(order));
        }
    }

    /// Removes instances whose checks have been critical for too long.
    pub(super) fn doom(&mut self) {
        let epoch = self.members.epoch();
        if self.members.is_live() {
            for key in self.shared.read(|state| state.doomed(self.shared.now().instant)) {
                info!(instance = %key, "a check was critical for too long; it is removed");
                self.next.push_back(request(Order::Purge(key, Why::Doomed, epoch)));
            }
        }
    }

    /// Takes over what belonged to members that are gone, as far as it is this member's by now.
    pub(super) fn adopt(&mut self) {
        if !self.members.is_live() || !self.next.is_empty() {
            return;
        }
        let (epoch, living) = self.members.list();
        let is_alive = |holder: &str| living.iter().any(|member| *member.node_id == *holder);
        if !is_alive(self.members.node_id()) {
            return;
        }
        let me = self.members.node_id();
        let orphans = self.shared.read(|state| state.orphans(is_alive));
        let mine = orphans.into_iter().filter(|orphan| {
            members::owner_of(&living, &Named::of(&orphan.what).text()).is_some_and(|owner| owner == me)
        });
        for orphan in mine {
            let order = match orphan.what {
                Dirty::Instance(key) if orphan.managed => {
                    Order::Purge(key, Why::Orphan(orphan.holder), epoch)
                }
                what => Order::Adopt(what, orphan.holder, epoch),
            };
            self.next.push_back(request(order));
        }
        if !self.next.is_empty() {
            info!(count = self.next.len(), "taking over what belonged to members that are gone");
        }
    }
}

fn request(order: Order) -> Request {
    // Nobody waits for the answer.
    Request { order, done: oneshot::channel().0 }
}
