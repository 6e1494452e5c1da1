//! User events: the last ones, in memory. They reach who watches this door, and no other node.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, put};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::{Refusal, Reply};
use crate::request::{Params, Whole};

/// Largest payload of an event, in bytes; Consul's is about as large.
const MAX_PAYLOAD: usize = 512;
/// Longest name or filter, in bytes.
const MAX_NAME: usize = 128;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    #[serde(rename = "ID")]
    id: Uuid,
    name: String,
    payload: Option<String>,
    node_filter: String,
    service_filter: String,
    tag_filter: String,
    version: u32,
    #[serde(rename = "LTime")]
    time: u64,
}

/// The last events.
pub(crate) struct Events {
    kept: Mutex<VecDeque<Arc<Event>>>,
    most: usize,
    /// How many there were, which is the index of the last one less one.
    count: watch::Sender<u64>,
}

impl Events {
    pub(crate) fn new(most: usize) -> Self {
        Self { kept: Mutex::default(), most: most.max(1), count: watch::channel(0).0 }
    }

    fn add(&self, event: impl FnOnce(u64) -> Event) -> Arc<Event> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let time = *self.count.borrow() + 1;
        let event = Arc::new(event(time));
        kept.push_back(event.clone());
        while kept.len() > self.most {
            kept.pop_front();
        }
        self.count.send_replace(time);
        event
    }

    fn of(&self, name: Option<&str>) -> Vec<Arc<Event>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter(|event| name.is_none_or(|name| event.name == name)).cloned().collect()
    }
}

pub(crate) fn routes() -> Router<Door> {
    Router::new().route("/v1/event/fire/{name}", put(fire)).route("/v1/event/list", get(list))
}

async fn fire(
    State(door): State<Door>,
    params: Params,
    Path(name): Path<String>,
    Whole(body): Whole,
) -> Reply<Answer> {
    if body.len() > MAX_PAYLOAD {
        return Err(Refusal::too_large(MAX_PAYLOAD));
    }
    let filter = |parameter: &str| params.get(parameter).unwrap_or_default().to_owned();
    let (node, service, tag) = (filter("node"), filter("service"), filter("tag"));
    if [&name, &node, &service, &tag].into_iter().any(|text| text.len() > MAX_NAME) {
        return Err(Refusal::bad(format!("a name or filter of an event has at most {MAX_NAME} bytes")));
    }
    let event = door.events.add(|time| Event {
        id: uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid(),
        name,
        payload: (!body.is_empty()).then(|| STANDARD.encode(&body)),
        node_filter: node,
        service_filter: service,
        tag_filter: tag,
        version: 1,
        time,
    });
    Ok(Answer::json(&params, &*event))
}

async fn list(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let name = params.get("name");
    if let Some(index) = params.index() {
        let mut count = door.events.count.subscribe();
        let wait = tokio::time::sleep(door.wait(&params));
        tokio::select! {
            _ = count.wait_for(|count| count + 1 != index) => {}
            () = wait => {}
        }
    }
    let index = *door.events.count.borrow() + 1;
    Ok(Answer::json(&params, &door.events.of(name)).at(&params, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let events = Events::new(2);
        for name in ["a", "b", "c"] {
            events.add(|time| Event {
                id: Uuid::nil(),
                name: name.into(),
                payload: None,
                node_filter: String::new(),
                service_filter: String::new(),
                tag_filter: String::new(),
                version: 1,
                time,
            });
        }
        let names: Vec<_> = events.of(None).iter().map(|event| event.name.clone()).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!(events.of(Some("c")).len(), 1);
        assert_eq!(*events.count.borrow(), 3);
    }
}
