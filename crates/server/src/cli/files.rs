//! How many files this process may have open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Takes as many as it may have. What it had at first, if that was less: programs that it starts should begin there.
pub(super) fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let before = current.filter(|current| maximum.is_none_or(|maximum| *current < maximum))?;
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => debug!(before, now = maximum, "open files"),
        Err(error) => {
            warn!(%error, before, wanted = maximum, "the limit of open files stays as it is");
            return None;
        }
    }
    Some(before)
}
