//! The words of the registry: names and keys, what is registered, and what readers are shown.

pub(crate) mod check;
pub(crate) mod instance;
pub(crate) mod labels;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod snapshot;
pub(crate) mod topic;
