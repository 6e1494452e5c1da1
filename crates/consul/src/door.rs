//! What all handlers share, and the waiting of blocking queries.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde::Serialize;
use tokio::sync::Mutex;
use trellis_core::InstanceId;
use trellis_registry::{CheckKey, InstanceKey, Name};

use crate::answer::{Answer, bytes_of};
use crate::coordinate::Coordinates;
use crate::event::Events;
use crate::options::Options;
use crate::platform::Platform;
use crate::refusal::{self, Refusal, Reply};
use crate::request::Params;
use crate::source::Source;
use crate::{
    acl, agent, catalog, coordinate, entries, event, health, kv, operator, session, status, txn, unsupported,
};

/// What every handler has.
#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) registry: trellis_registry::Handle,
    pub(crate) config: trellis_config::Handle,
    pub(crate) platform: Platform,
    pub(crate) events: Events,
    pub(crate) coordinates: Coordinates,
    /// Held while an instance and its sidecar are registered, so that no two are given one port.
    pub(crate) sidecars: Mutex<()>,
}

impl std::ops::Deref for Door {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// All paths of Consul's API.
pub fn router(
    options: Options,
    registry: trellis_registry::Handle,
    config: trellis_config::Handle,
    platform: Platform,
) -> Router {
    let events = Events::new(options.max_events);
    let (coordinates, sidecars) = (Coordinates::default(), Mutex::default());
    let door = Door(Arc::new(Inner { options, registry, config, platform, events, coordinates, sidecars }));
    Router::new()
        .route("/", get(itself))
        .merge(status::routes())
        .merge(agent::routes())
        .merge(catalog::routes())
        .merge(health::routes())
        .merge(kv::routes())
        .merge(session::routes())
        .merge(txn::routes())
        .merge(event::routes())
        .merge(operator::routes())
        .merge(coordinate::routes())
        .merge(entries::routes())
        .merge(acl::routes())
        .merge(unsupported::routes())
        .fallback(refusal::not_found)
        .method_not_allowed_fallback(refusal::method_not_allowed)
        .with_state(door)
}

/// Where Consul has its pages. Its clients ask here whether it answers at all.
async fn itself() -> Answer {
    Answer::text(
        "Trellis speaks Consul's HTTP API here. There are no pages; /v1/catalog/services is a beginning.\n",
    )
}

impl Door {
    /// The name of the own node.
    pub(crate) fn node(&self) -> &Name {
        self.registry.own_node()
    }

    /// The key of an instance on the own node.
    pub(crate) fn own_key(&self, params: &Params, id: &str) -> Reply<InstanceKey> {
        let unknown = || unknown_service(id);
        let id: InstanceId = id.parse().map_err(|_| unknown())?;
        Ok(InstanceKey { namespace: params.namespace()?, node: self.node().clone(), id })
    }

    /// The check with this id on the own node.
    pub(crate) fn own_check(&self, params: &Params, id: &str) -> Reply<CheckKey> {
        let found = self.registry.find_check(&params.namespace()?, self.node(), id);
        found.map(|check| check.key.clone()).ok_or_else(|| unknown_check(id))
    }

    /// How long a blocking query waits: as asked, within the limit, and up to a sixteenth longer, so that those who came
    /// together do not come back together.
    pub(crate) fn wait(&self, params: &Params) -> Duration {
        let wait = params.wait().unwrap_or(self.options.default_wait).min(self.options.max_wait);
        wait + wait.mul_f64(fastrand::f64() / 16.0)
    }

    /// A list, made once for all who ask the same where it is about a topic alone; with a filter, which items of it match.
    pub(crate) async fn list<T: Serialize>(
        &self,
        params: &Params,
        source: impl Into<Source>,
        variant: &str,
        make: impl Fn(&trellis_registry::Handle) -> Vec<T>,
    ) -> Reply<Answer> {
        let source = source.into();
        let (None, Some(topic)) = (params.filter()?, source.only_topic()) else {
            return self.fresh(params, source, make).await;
        };
        self.follow(params, &source).await?;
        let made = self.registry.cached(topic, variant, |registry| bytes_of(&make(registry)));
        Ok(Answer::of_json(params, made.body.clone()).at(params, made.index))
    }

    /// The same without sharing, for what has the output of checks in it, which is to be up to date.
    pub(crate) async fn fresh<T: Serialize>(
        &self,
        params: &Params,
        source: impl Into<Source>,
        make: impl Fn(&trellis_registry::Handle) -> Vec<T>,
    ) -> Reply<Answer> {
        let source = source.into();
        // What cannot be understood is refused before anybody waits.
        params.filter()?;
        self.follow(params, &source).await?;
        let index = self.index_of(&source)?;
        Ok(filtered(params, make(&self.registry))?.at(params, index))
    }
}

/// Those items that the filter lets through, if there is one.
pub(crate) fn filtered<T: Serialize>(params: &Params, items: Vec<T>) -> Reply<Answer> {
    let Some(filter) = params.filter()? else { return Ok(Answer::json(params, &items)) };
    let kept = filter.keep(items).map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(Answer::json(params, &kept))
}

/// What is said of a service id that nobody has.
pub(crate) fn unknown_service(id: &str) -> Refusal {
    Refusal::missing(format!(
        "Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name."
    ))
}

/// What is said of a check id that nobody has.
pub(crate) fn unknown_check(id: &str) -> Refusal {
    Refusal::missing(format!(
        "Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name. (CheckID {id:?} not found)"
    ))
}
