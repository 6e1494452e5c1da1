//! What the schema cannot say: names that must exist, values that must fit together.

mod addresses;
mod names;
mod processes;
mod routing;
mod values;

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
    for mistake in routing::check(model) {
        // Where a name is unknown, that is said already, and better.
        if !mistakes.iter().any(|known| known.path() == mistake.path()) {
            mistakes.push(mistake);
        }
    }
    mistakes
}
