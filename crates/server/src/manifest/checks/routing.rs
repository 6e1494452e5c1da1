//! What the gateway says of the routes.

use trellis_core::model::AppModel;

use super::super::mistake::{Mistake, Place};
use super::super::path::Path;

pub(super) fn check(model: &AppModel) -> Vec<Mistake> {
    let mistakes = trellis_proxy::compile(model).err().unwrap_or_default();
    mistakes
        .into_iter()
        .map(|found| Mistake::new(Place::Value(Path::parse(&found.path)), found.message))
        .collect()
}
