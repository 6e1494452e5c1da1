//! What the environment and the command line say instead of the manifest.

use std::net::SocketAddr;
use std::path::PathBuf;

use trellis_core::Phase;
use trellis_core::model::AppModel;

use super::Origin;

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
    /// `[gateway] listen`
    pub gateway_listen: Option<Given<SocketAddr>>,
    /// `[admin] listen`
    pub admin_listen: Option<Given<SocketAddr>>,
}

impl Overrides {
    /// Puts the values into `model`.
    pub fn apply(&self, model: &mut AppModel) {
        if let Some(phase) = &self.phase {
            model.app.phase = phase.value;
        }
        if let Some(listen) = &self.gateway_listen {
            model.gateway.listen = listen.value;
        }
        if let Some(listen) = &self.admin_listen {
            model.admin.listen = listen.value;
        }
    }

    /// Who gave the setting `key`, if it is one of these and was given.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        match key {
            "app.phase" => self.phase.as_ref().map(|given| &given.origin),
            "data_dir" => self.data_dir.as_ref().map(|given| &given.origin),
            "gateway.listen" => self.gateway_listen.as_ref().map(|given| &given.origin),
            "admin.listen" => self.admin_listen.as_ref().map(|given| &given.origin),
            _ => None,
        }
    }
}
