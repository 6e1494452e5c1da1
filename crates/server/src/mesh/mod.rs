//! What the control plane tells the proxies of the mesh.

mod control;
pub(crate) mod tls;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use trellis_core::model::{self, AppModel};
use trellis_core::{Phase, ServiceName};

pub use control::{Apps, Asker, Control};

/// One snapshot, whole: what one proxy is to do. Where the instances of services are is watched beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Names the content: the same number for the same snapshot, whoever counts. Never 0.
    pub revision: u64,
    /// `host:port` of the instance that the proxy stands beside; absent until the platform has started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// All services that can be called.
    pub services: BTreeSet<ServiceName>,
    /// Those of them whose instances have a proxy of their own.
    pub meshed: BTreeSet<ServiceName>,
    /// What holds unless a cluster says otherwise.
    pub gateway: model::Gateway,
    /// Addresses outside the registry, and how services are called. Paths in it are absolute.
    pub cluster: Vec<model::Cluster>,
    /// What holds for proxies alone. Paths in it are absolute.
    pub mesh: model::Mesh,
}

/// Numbers stay below 2^53, so that JavaScript can hold them.
const LARGEST: u64 = (1 << 53) - 1;

impl Config {
    /// What `model`, in `directory`, has to say. `known` are services that registered themselves.
    pub(crate) fn new(
        model: &AppModel,
        directory: &Path,
        known: &BTreeSet<ServiceName>,
        app: Option<String>,
    ) -> Self {
        let modules: BTreeSet<_> = model.module.keys().cloned().collect();
        let policies = model.cluster.iter().filter_map(|cluster| cluster.service.clone());
        let services = modules.iter().chain(known).cloned().chain(policies).collect();
        let mut config = Self {
            revision: 0,
            app,
            services,
            meshed: if model.app.phase == Phase::ServiceMesh { modules } else { BTreeSet::new() },
            gateway: model::Gateway { tls: None, ..model.gateway.clone() },
            cluster: model.cluster.clone(),
            mesh: model.mesh.clone(),
        };
        config.anchor(directory);
        config.revision = config.hash();
        config
    }

    /// Makes paths absolute: a proxy runs in another folder.
    fn anchor(&mut self, directory: &Path) {
        let absolute = |path: &mut String| *path = directory.join(&*path).display().to_string();
        if let Some(tls) = &mut self.mesh.tls {
            [&mut tls.cert, &mut tls.key, &mut tls.ca].into_iter().for_each(absolute);
        }
        for tls in self.cluster.iter_mut().filter_map(|cluster| cluster.tls.as_mut()) {
            [&mut tls.cert, &mut tls.key, &mut tls.ca].into_iter().flatten().for_each(absolute);
        }
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        // Maps and lists of names and numbers: this cannot fail.
        serde_json::to_string(self).unwrap_or_default().hash(&mut hasher);
        (hasher.finish() & LARGEST).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str, known: &[&str]) -> Config {
        let model: AppModel = toml::from_str(text).unwrap();
        let known = known.iter().map(|name| name.parse().unwrap()).collect();
        Config::new(&model, Path::new("/app"), &known, None)
    }

    #[test]
    fn a_revision_names_the_content() {
        let text = "[module.users]\n[mesh]\ntimeout = \"1s\"\n";
        assert_eq!(config(text, &[]), config(text, &[]));
        assert_ne!(config(text, &[]).revision, config(text, &["reports"]).revision);
        assert_ne!(config(text, &[]).revision, config("[module.users]\n", &[]).revision);
    }

    #[test]
    fn only_modules_of_a_mesh_have_proxies_and_paths_are_absolute() {
        let text = "[app]\nphase = \"service_mesh\"\n[module.users]\n\
                    [mesh.tls]\ncert = \"tls/cert.pem\"\nkey = \"/k.pem\"\nca = \"ca.pem\"\n";
        let mesh = config(text, &["reports"]);
        let names = |set: &BTreeSet<ServiceName>| set.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            (names(&mesh.services), names(&mesh.meshed)),
            (vec!["reports".into(), "users".into()], vec!["users".into()])
        );
        let tls = mesh.mesh.tls.unwrap();
        assert_eq!((&*tls.cert, &*tls.key, &*tls.ca), ("/app/tls/cert.pem", "/k.pem", "/app/ca.pem"));
        assert!(config("[module.users]\n", &[]).meshed.is_empty());
    }
}
