//! Where the instance is that a proxy stands beside.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use trellis_core::{Discovery, Endpoint, EndpointSet, EndpointWatch, InstanceId, ServiceName};

use crate::mesh::Config;

/// A service of one instance. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct App {
    id: InstanceId,
    /// It was said at the start, and nobody else is asked.
    is_fixed: bool,
    set: watch::Sender<Arc<EndpointSet>>,
}

impl App {
    /// The instance `id`, at `address` if that is known.
    pub(super) fn new(id: InstanceId, address: Option<SocketAddr>) -> Self {
        let app = Self { id, is_fixed: address.is_some(), set: watch::Sender::default() };
        if let Some(address) = address {
            app.moved(&address.to_string());
        }
        app
    }

    /// Takes the address from a snapshot. One that says nothing of it changes nothing.
    pub(super) fn follow(&self, config: &Config) {
        if let Some(address) = config.app.as_deref().filter(|_| !self.is_fixed) {
            self.moved(address);
        }
    }

    fn moved(&self, address: &str) {
        self.set.send_if_modified(|set| {
            if set.endpoints.iter().any(|endpoint| &*endpoint.authority == address) {
                return false;
            }
            let endpoint = Endpoint { id: self.id.clone(), authority: address.into(), weight: 1, zone: None };
            *set = Arc::new(EndpointSet { revision: set.revision + 1, endpoints: vec![endpoint] });
            true
        });
    }
}

impl Discovery for App {
    fn watch(&self, _service: &ServiceName) -> EndpointWatch {
        self.set.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use trellis_core::model::AppModel;

    use super::*;

    #[test]
    fn an_address_that_was_said_stays() {
        let model = AppModel::default();
        let told =
            |app: Option<&str>| Config::new(&model, Path::new("/"), &BTreeSet::new(), app.map(str::to_owned));
        let seen = |app: &App| {
            let set = app.watch(&"users".parse().unwrap()).borrow().clone();
            set.endpoints.first().map(|endpoint| endpoint.authority.to_string())
        };
        let app = App::new("users-1".parse().unwrap(), None);
        assert_eq!(seen(&app), None);
        app.follow(&told(Some("127.0.0.1:1")));
        app.follow(&told(Some("127.0.0.1:2")));
        app.follow(&told(None));
        assert_eq!(seen(&app).as_deref(), Some("127.0.0.1:2"));
        let fixed = App::new("users-1".parse().unwrap(), Some(([127, 0, 0, 1], 7).into()));
        fixed.follow(&told(Some("127.0.0.1:1")));
        assert_eq!(seen(&fixed).as_deref(), Some("127.0.0.1:7"));
    }
}
