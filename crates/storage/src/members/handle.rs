//! What a process knows of its own membership and that of others.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::table::List;
use super::{Member, owner_of};

/// A process's view of who is there. Clones share it.
#[derive(Clone)]
pub struct Handle {
    node_id: Arc<str>,
    view: watch::Receiver<View>,
    members: watch::Receiver<Arc<[Member]>>,
}

/// A time in which the list of members stays the same, and this process is one of them without a break. What it knew to be
/// its own in one term may be another's in the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The number of the list.
    pub epoch: u64,
    /// How often this process had become a member again after it was none.
    pub stay: u64,
}

#[derive(Debug, Clone)]
struct View {
    epoch: u64,
    stay: u64,
    members: Arc<[Member]>,
    lease: Lease,
}

/// How long this process may count itself a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lease {
    Forever,
    Until(Instant),
    Over,
}

impl Lease {
    fn holds(self, now: Instant) -> bool {
        match self {
            Self::Forever => true,
            Self::Until(end) => now < end,
            Self::Over => false,
        }
    }
}

/// The other end of handles.
pub(super) struct Teller {
    view: watch::Sender<View>,
    members: watch::Sender<Arc<[Member]>>,
}

impl Teller {
    pub(super) fn new(node_id: Arc<str>, list: List, lease: Lease) -> (Self, Handle) {
        let members: Arc<[Member]> = list.members.into();
        let (view, seen) =
            watch::channel(View { epoch: list.epoch, stay: 0, members: members.clone(), lease });
        let (members, live) = watch::channel(members);
        (Self { view, members }, Handle { node_id, view: seen, members: live })
    }

    /// The list as it is now.
    pub(super) fn list(&self, list: List) {
        let members: Arc<[Member]> = list.members.into();
        let mut other = false;
        self.view.send_modify(|view| {
            other = view.epoch != list.epoch;
            view.epoch = list.epoch;
            view.members = members.clone();
        });
        if other {
            self.members.send_replace(members);
        }
    }

    /// Whether this process counts itself a member.
    pub(super) fn holds(&self) -> bool {
        self.view.borrow().lease.holds(Instant::now())
    }

    pub(super) fn lease(&self, lease: Lease) {
        self.view.send_modify(|view| {
            let now = Instant::now();
            view.stay += u64::from(!view.lease.holds(now) && lease.holds(now));
            view.lease = lease;
        });
    }
}

impl Handle {
    /// This process's own id, as text; another for every start.
    pub fn node_id(&self) -> &Arc<str> {
        &self.node_id
    }

    /// The members as last heard, this process among them, by id; changes when somebody comes or goes. It stays as it is
    /// while the database is away.
    pub fn live(&self) -> watch::Receiver<Arc<[Member]>> {
        self.members.clone()
    }

    /// The number of the list of members, for [`Tx::require_live`](crate::Tx::require_live). Together with a decision
    /// on a key take it from [`claim`](Self::claim).
    pub fn epoch(&self) -> u64 {
        self.view.borrow().epoch
    }

    /// The number of the list of members, and who is on it: both of one moment, for decisions on many keys.
    pub fn list(&self) -> (u64, Arc<[Member]>) {
        let view = self.view.borrow();
        (view.epoch, view.members.clone())
    }

    /// Whether this process may count itself a member at this moment.
    pub fn is_live(&self) -> bool {
        self.term().is_some()
    }

    /// The present term; none if this process may not count itself a member at this moment.
    pub fn term(&self) -> Option<Term> {
        let view = self.view.borrow();
        view.lease.holds(Instant::now()).then_some(Term { epoch: view.epoch, stay: view.stay })
    }

    /// The id of the member that a key belongs to; none only if the list is empty.
    pub fn owner_of(&self, key: &str) -> Option<Arc<str>> {
        owner_of(&self.view.borrow().members, key).cloned()
    }

    /// Whether the key belongs to this process and it is live.
    pub fn is_mine(&self, key: &str) -> bool {
        self.claim(key).is_some()
    }

    /// The epoch under which the key belongs to this process; none if it does not, or if the process is not live.
    pub fn claim(&self, key: &str) -> Option<u64> {
        let view = self.view.borrow();
        let mine = view.lease.holds(Instant::now()) && owner_of(&view.members, key) == Some(&self.node_id);
        mine.then_some(view.epoch)
    }

    /// Ends when this process is not live any more; at once if it is not.
    pub async fn lost(&self) {
        let mut view = self.view.clone();
        loop {
            let lease = view.borrow_and_update().lease;
            let end = async {
                match lease {
                    Lease::Forever => std::future::pending().await,
                    Lease::Until(end) => tokio::time::sleep_until(end).await,
                    Lease::Over => {}
                }
            };
            tokio::select! {
                biased;
                changed = view.changed() => if changed.is_err() { return },
                () = end => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    const TTL: Duration = Duration::from_secs(5);

    fn list(epoch: u64) -> List {
        List { epoch, overdue: false, members: Vec::new() }
    }

    fn until() -> Lease {
        Lease::Until(Instant::now() + TTL)
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_ends_with_the_list_and_with_every_absence() {
        let (teller, handle) = Teller::new("me".into(), list(1), until());
        let first = handle.term().unwrap();
        advance(TTL / 2).await;
        teller.lease(until());
        assert_eq!(handle.term(), Some(first), "renewed in time");
        teller.list(list(2));
        let second = handle.term().unwrap();
        assert_ne!(second, first);
        advance(TTL).await;
        assert_eq!((handle.term(), handle.is_live()), (None, false));
        // The list did not notice.
        teller.lease(until());
        let third = handle.term().unwrap();
        assert!(third != second && third.epoch == second.epoch);
        teller.lease(Lease::Over);
        assert_eq!(handle.term(), None);
        teller.lease(until());
        assert_ne!(handle.term(), Some(third));
    }
}
