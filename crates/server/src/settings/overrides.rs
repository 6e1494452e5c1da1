//! What the environment and the command line say instead of the manifest.

use std::path::PathBuf;

use trellis_core::Phase;
use trellis_core::model::AppModel;

use super::{Listens, Origin};

/// A value and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// Who gave it.
    pub origin: Origin,
}

/// The settings that may be given outside the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// `[app] phase`
    pub phase: Option<Given<Phase>>,
    /// The folder that holds all state.
    pub data_dir: Option<Given<PathBuf>>,
    /// The addresses of the doors.
    pub listens: Listens,
}

impl Overrides {
    /// Puts the values into `model`.
    pub fn apply(&self, model: &mut AppModel) {
        if let Some(phase) = &self.phase {
            model.app.phase = phase.value;
        }
        self.listens.apply(model);
    }

    /// Who gave the setting `key`, if it is one of these and was given.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        match key {
            "app.phase" => self.phase.as_ref().map(|given| &given.origin),
            "data_dir" => self.data_dir.as_ref().map(|given| &given.origin),
            _ => self.listens.origin(key),
        }
    }
}
