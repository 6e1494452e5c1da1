//! What the schema cannot say: names that must exist, values that must fit together.

mod addresses;
mod names;
mod processes;
mod routing;
mod values;

use std::collections::BTreeSet;

use trellis_core::model::AppModel;
use trellis_proxy::RouteTable;

use super::mistake::Mistake;
use crate::settings::Overrides;

/// The routes of `model`, or every mistake in how its parts fit together. `overrides` are in the model already; they tell
/// which values are not the file's.
pub(super) fn check(model: &AppModel, overrides: &Overrides) -> Result<RouteTable, Vec<Mistake>> {
    let mut mistakes = names::check(model);
    mistakes.extend(processes::check(model, overrides));
    mistakes.extend(values::check(model));
    mistakes.extend(addresses::check(model, overrides));
    let routes = routing::check(model);
    if mistakes.is_empty() {
        return routes;
    }
    let told: BTreeSet<_> = mistakes.iter().filter_map(|mistake| mistake.path().cloned()).collect();
    // Where a name is unknown, that is said already, and better.
    let routing = routes.err().unwrap_or_default().into_iter();
    mistakes.extend(routing.filter(|mistake| mistake.path().is_none_or(|path| !told.contains(path))));
    Err(mistakes)
}
