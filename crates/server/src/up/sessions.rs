//! Sessions end with what they depend on: a node of the registry that goes, a check that turns critical or goes.

use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};
use trellis_config::kv::{Cause, Session};
use trellis_core::Error;
use trellis_core::error::chain;
use trellis_registry::{CheckStatus, Name, Namespace, Topic};
use trellis_runtime::Shutdown;

/// Changes of the registry that come within this time are looked at together.
const PAUSE: Duration = Duration::from_millis(100);
/// After this time it is tried again to end sessions that could not be ended.
const AGAIN: Duration = Duration::from_secs(1);

/// Follows the registry until `shutdown`.
pub(super) async fn end_with_their_causes(
    registry: trellis_registry::Handle,
    config: trellis_config::Handle,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let mut changes = registry.subscribe(&Topic::All)?;
    let work = async {
        loop {
            let sessions = config.session_list(None).value;
            let causes: Vec<Cause> =
                sessions.iter().filter_map(|session| cause(session, &registry)).collect();
            let mut pause = PAUSE;
            for cause in causes {
                match config.invalidate_sessions_of(&cause).await {
                    Ok(count) if count > 0 => {
                        info!(count, ?cause, "sessions have ended with what they depend on");
                    }
                    Ok(_) => {}
                    Err(error) => {
                        warn!(error = chain(&error), ?cause, "sessions cannot be ended; it is tried again");
                        changes.mark_changed();
                        pause = AGAIN;
                    }
                }
            }
            sleep(pause).await;
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = shutdown.triggered() => {}
    }
    Ok(())
}

/// Why `session` has to end, if it does.
fn cause(session: &Session, registry: &trellis_registry::Handle) -> Option<Cause> {
    let gone = || Cause::Node(session.node.clone());
    let Ok(node) = session.node.parse::<Name>() else { return Some(gone()) };
    if registry.node(&node).is_none() {
        return Some(gone());
    }
    let is_well = |id: &str| {
        let check = registry.find_check(&Namespace::default(), &node, id);
        check.is_some_and(|check| check.status != CheckStatus::Critical)
    };
    let ill = session.checks.iter().find(|id| !is_well(id))?;
    Some(Cause::Check { node: session.node.clone(), check: ill.clone() })
}
