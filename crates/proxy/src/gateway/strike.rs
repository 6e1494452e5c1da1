//! What goes wrong on purpose.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use trellis_core::{Code, Error, codes};
use trellis_resilience::fault::Fault as Injected;

use crate::table::{Fault, Params, View};

/// Waits, and fails, as `fault` says. A request has until `deadline`, on purpose or not.
pub(super) async fn strike(
    fault: &Fault,
    view: &View<'_>,
    params: &Params<'_>,
    deadline: Instant,
    patience: Option<Duration>,
) -> Result<(), Error> {
    let Injected { delay, abort } = fault.strike(view, params, [fastrand::f64(), fastrand::f64()]);
    if let Some(delay) = delay {
        // A delay beyond all time is one beyond the deadline.
        let end = Instant::now().checked_add(delay).unwrap_or(deadline);
        // Boxed: requests that do not wait should not be larger for it.
        Box::pin(sleep_until(end.min(deadline))).await;
        if end >= deadline {
            let is_own = patience.is_none();
            let code = if is_own { codes::UPSTREAM_TIMEOUT } else { codes::DEADLINE_EXCEEDED };
            return Err(Error::new(code, "the answer was held back on purpose, for longer than it may take"));
        }
    }
    match abort {
        Some(status) => {
            let code = Code { status, ..codes::FAULT_INJECTED };
            Err(Error::new(code, "this request fails on purpose"))
        }
        None => Ok(()),
    }
}
