//! What the gateway says of the routes.

use trellis_core::model::AppModel;
use trellis_proxy::RouteTable;

use super::super::mistake::{Mistake, Place};
use super::super::path::Path;

pub(super) fn check(model: &AppModel) -> Result<RouteTable, Vec<Mistake>> {
    trellis_proxy::compile(model).map_err(|mistakes| {
        let place = |path: &str| Place::Value(Path::parse(path));
        mistakes.into_iter().map(|found| Mistake::new(place(&found.path), found.message)).collect()
    })
}
