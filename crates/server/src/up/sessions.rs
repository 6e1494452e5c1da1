//! Sessions end with what they depend on: a node of the registry that goes, a check that turns critical or goes, and, if they
//! have no time to live, the platform that they were begun at.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};
use trellis_config::kv::{Session, SessionId};
use trellis_core::Error;
use trellis_core::error::chain;
use trellis_registry::{CheckStatus, NODE_CHECK, Name, Namespace, Topic};
use trellis_runtime::Shutdown;

/// Changes that come within this time are looked at together.
const PAUSE: Duration = Duration::from_millis(100);
/// After this time it is tried again to end sessions that could not be ended.
const AGAIN: Duration = Duration::from_secs(1);
/// How long something has to be so before a session ends for it, where other platforms may know better: the registry and the
/// sessions come here in two ways, and how a check is comes a moment later than that it is.
const GRACE: Duration = Duration::from_secs(2);

/// Follows the registry until `shutdown`. `is_shared`: other platforms write to the same store.
pub(super) async fn end_with_their_causes(
    registry: trellis_registry::Handle,
    config: trellis_config::Handle,
    is_shared: bool,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let grace = if is_shared { GRACE } else { Duration::ZERO };
    let mut changes = registry.subscribe(&Topic::All)?;
    let mut members = registry.members().live();
    let work = async {
        let mut suspects = Suspects::default();
        loop {
            members.mark_unchanged();
            // Whoever is cut off knows what was, and cannot end anything.
            let may_tell = !is_shared || registry.members().is_live();
            let sessions = if may_tell { config.session_list(None).value } else { Vec::new() };
            let orphaned =
                sessions.iter().filter_map(|session| Some((session.id, cause(session, &registry)?)));
            let mut pause = PAUSE;
            for (id, cause) in suspects.due(orphaned.collect(), grace, Instant::now()) {
                match config.session_destroy(id).await {
                    Ok(_) => info!(session = %id, cause, "a session has ended with what it depends on"),
                    Err(error) => {
                        warn!(session = %id, cause, error = chain(&error), "a session cannot be ended; it is tried again");
                        changes.mark_changed();
                        pause = AGAIN;
                    }
                }
            }
            sleep(pause).await;
            let due = async {
                match suspects.next(grace) {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                _ = members.changed() => {}
                () = due => {}
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = shutdown.triggered() => {}
    }
    Ok(())
}

/// Sessions that seem to have lost what they depend on, and since when.
#[derive(Debug, Default)]
struct Suspects(HashMap<SessionId, Instant>);

impl Suspects {
    /// Those of `orphaned`, which are all that seem so now, that have seemed so for as long as `grace`.
    fn due<C>(
        &mut self,
        orphaned: Vec<(SessionId, C)>,
        grace: Duration,
        now: Instant,
    ) -> Vec<(SessionId, C)> {
        let before = std::mem::take(&mut self.0);
        let since = |id: &SessionId| before.get(id).copied().unwrap_or(now);
        self.0 = orphaned.iter().map(|(id, _)| (*id, since(id))).collect();
        orphaned.into_iter().filter(|(id, _)| since(id) + grace <= now).collect()
    }

    /// When the next of them is due.
    fn next(&self, grace: Duration) -> Option<Instant> {
        self.0.values().min().map(|since| *since + grace)
    }
}

/// Why `session` has to end, if it does.
fn cause(session: &Session, registry: &trellis_registry::Handle) -> Option<&'static str> {
    let Ok(node) = session.node.parse::<Name>() else { return Some("its node is none") };
    if registry.node(&node).is_none() {
        return Some("its node is gone");
    }
    let is_well = |id: &String| {
        let check = registry.find_check(&Namespace::default(), &node, id);
        check.is_some_and(|check| check.status != CheckStatus::Critical)
    };
    if !session.checks.iter().all(is_well) {
        return Some("a check of it is critical or gone");
    }
    // The platform's own node stays when the platform goes, since what was registered there does. A session that ends by
    // time is taken over by another one.
    let is_ours = *registry.own_node() == node;
    if session.ttl().is_none() && session.checks.contains(NODE_CHECK) && !is_ours {
        let is_member = registry.member_nodes().iter().any(|member| *member.node.name() == node);
        return (!is_member).then_some("its platform is gone");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspect_is_due_when_it_has_been_one_without_a_break() {
        let (mut suspects, start) = (Suspects::default(), Instant::now());
        let (one, two) = (SessionId::from_u128(1), SessionId::from_u128(2));
        let second = Duration::from_secs(1);
        assert!(suspects.due(vec![(one, ())], GRACE, start).is_empty());
        assert_eq!(suspects.next(GRACE), Some(start + GRACE));
        assert!(suspects.due(vec![(one, ()), (two, ())], GRACE, start + second).is_empty());
        // The first was well in between.
        assert!(suspects.due(vec![(two, ())], GRACE, start + second * 2).is_empty());
        assert_eq!(suspects.due(vec![(one, ()), (two, ())], GRACE, start + second * 3), [(two, ())]);
        assert!(suspects.due(Vec::<(SessionId, ())>::new(), GRACE, start + second * 9).is_empty());
        assert_eq!(suspects.next(GRACE), None);
        assert_eq!(suspects.due(vec![(one, ())], Duration::ZERO, start), [(one, ())], "nobody knows better");
    }
}
