//! What all handlers share, and the waiting of blocking queries.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde::Serialize;
use trellis_core::InstanceId;
use trellis_registry::{CheckKey, InstanceKey, Name, Topic};

use crate::answer::{Answer, bytes_of};
use crate::event::Events;
use crate::options::Options;
use crate::refusal::{self, Refusal, Reply};
use crate::request::Params;
use crate::{acl, agent, catalog, event, health, kv, operator, session, status, txn, unsupported};

/// What every handler has.
#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) registry: trellis_registry::Handle,
    pub(crate) config: trellis_config::Handle,
    pub(crate) events: Events,
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
) -> Router {
    let events = Events::new(options.max_events);
    let door = Door(Arc::new(Inner { options, registry, config, events }));
    Router::new()
        .merge(status::routes())
        .merge(agent::routes())
        .merge(catalog::routes())
        .merge(health::routes())
        .merge(kv::routes())
        .merge(session::routes())
        .merge(txn::routes())
        .merge(event::routes())
        .merge(operator::routes())
        .merge(acl::routes())
        .merge(unsupported::routes())
        .fallback(refusal::not_found)
        .method_not_allowed_fallback(refusal::method_not_allowed)
        .with_state(door)
}

impl Door {
    /// What clients are told where they ask for the leader.
    pub(crate) fn leader(&self) -> String {
        let (address, port) = (&self.registry.options().node.address, self.options.listen.port());
        if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
    }

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

    /// Waits, if asked to, until a topic of the registry has changed.
    pub(crate) async fn follow(&self, params: &Params, topic: &Topic) -> Reply<()> {
        if let Some(index) = params.index() {
            self.registry.watch_topic(topic, index, self.wait(params)).await?;
        }
        Ok(())
    }

    /// A list about a topic, made once for all who ask the same; with a filter, which items of it match.
    pub(crate) async fn list<T: Serialize>(
        &self,
        params: &Params,
        topic: &Topic,
        variant: &str,
        make: impl Fn(&trellis_registry::Handle) -> Vec<T>,
    ) -> Reply<Answer> {
        let filter = params.filter()?;
        self.follow(params, topic).await?;
        let Some(filter) = filter else {
            let made = self.registry.cached(topic, variant, |registry| bytes_of(&make(registry)));
            return Ok(Answer::of_json(params, made.body.clone()).at(params, made.index));
        };
        let index = self.registry.topic_index(topic);
        let kept = filter.keep(make(&self.registry)).map_err(|error| Refusal::bad(error.to_string()))?;
        Ok(Answer::json(params, &kept).at(params, index))
    }

    /// The same without sharing, for what has the output of checks in it, which is to be up to date.
    pub(crate) async fn fresh<T: Serialize>(
        &self,
        params: &Params,
        topic: &Topic,
        make: impl Fn(&trellis_registry::Handle) -> Vec<T>,
    ) -> Reply<Answer> {
        let filter = params.filter()?;
        self.follow(params, topic).await?;
        let index = self.registry.topic_index(topic);
        let made = make(&self.registry);
        let answer = match filter {
            None => Answer::json(params, &made),
            Some(filter) => {
                let kept = filter.keep(made).map_err(|error| Refusal::bad(error.to_string()))?;
                Answer::json(params, &kept)
            }
        };
        Ok(answer.at(params, index))
    }
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
