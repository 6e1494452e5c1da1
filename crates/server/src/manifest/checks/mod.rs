//! What the schema cannot say: names that must exist, values that must fit together.

mod addresses;
mod names;
mod processes;
mod routing;
mod values;

use std::collections::BTreeSet;

use trellis_core::model::AppModel;

use super::mistake::Mistake;
use crate::settings::Overrides;

/// Every mistake in how the parts of `model` fit together. `overrides` are in the model already; they tell which
/// values are not the file's.
pub(super) fn check(model: &AppModel, overrides: &Overrides) -> Vec<Mistake> {
    let mut mistakes = names::check(model);
    mistakes.extend(processes::check(model, overrides));
    mistakes.extend(values::check(model));
    mistakes.extend(addresses::check(model, overrides));
    let told: BTreeSet<_> = mistakes.iter().filter_map(|mistake| mistake.path().cloned()).collect();
    // Where a name is unknown, that is said already, and better.
    let routing = routing::check(model)
        .into_iter()
        .filter(|mistake| mistake.path().is_none_or(|path| !told.contains(path)));
    mistakes.extend(routing);
    mistakes
}
