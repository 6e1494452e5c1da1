//! What clients are shown.

mod json;
mod shown;
mod write;
mod xml;

use std::collections::BTreeMap;

use trellis_core::Status;

pub(crate) use json::Json;
pub(crate) use shown::{Action, Shown};
pub(crate) use write::{Document, application, applications, instance};
pub(crate) use xml::Xml;

/// Eureka's sum over all instances: how many have each status, in the order of the names, such as `DOWN_1_UP_2_`.
/// Clients that follow differences compare it with what they have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HashCode(BTreeMap<&'static str, usize>);

impl HashCode {
    /// Counts one more.
    pub(crate) fn count(&mut self, status: Status) {
        *self.0.entry(status.as_str()).or_default() += 1;
    }

    /// How many were counted.
    pub(crate) fn instances(&self) -> usize {
        self.0.values().sum()
    }
}

impl std::fmt::Display for HashCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(status, count)| write!(f, "{status}_{count}_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_code_has_the_statuses_in_the_order_of_their_names() {
        let mut code = HashCode::default();
        assert_eq!(code.to_string(), "");
        for status in [Status::Up, Status::Starting, Status::Up, Status::OutOfService, Status::Down] {
            code.count(status);
        }
        assert_eq!(code.to_string(), "DOWN_1_OUT_OF_SERVICE_1_STARTING_1_UP_2_");
        assert_eq!(code.instances(), 5);
    }
}
