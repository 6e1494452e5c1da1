//! Autopilot: how the members of the store are, and settings that Consul has for what is fixed here.

use std::time::{Duration, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use humantime::format_rfc3339_seconds;
use serde_json::{Map, Value, json};

use crate::agent::own::VERSION;
use crate::answer::Answer;
use crate::door::Door;
use crate::kept::Kept;
use crate::refusal::Reply;
use crate::request::{self, Object, Params, Whole, format_duration};
use crate::servers::Server;

/// Where the settings are kept.
const PATH: &str = "autopilot/configuration";
/// The last moment of the year 9999, in Unix milliseconds: later ones have no such text.
const LAST: u64 = 253_402_300_799_000;

/// The settings. They are kept and told, and change nothing: who is dead is off the list when its lease ends.
pub(super) async fn configuration(State(door): State<Door>, params: Params) -> Reply<Answer> {
    Ok(Answer::json(&params, &told(door.kept(PATH)?)))
}

fn told(kept: Option<Kept>) -> Value {
    let (created, changed) = kept.as_ref().map_or((0, 0), |kept| (kept.create_index, kept.modify_index));
    let mut all = defaults();
    all.extend(kept.into_iter().flat_map(|kept| kept.object));
    all.insert("CreateIndex".into(), created.into());
    all.insert("ModifyIndex".into(), changed.into());
    Value::Object(all)
}

fn defaults() -> Map<String, Value> {
    let all = [
        ("CleanupDeadServers", json!(true)),
        ("LastContactThreshold", json!("200ms")),
        ("MaxTrailingLogs", json!(250)),
        ("MinQuorum", json!(0)),
        ("ServerStabilizationTime", json!("10s")),
        ("RedundancyZoneTag", json!("")),
        ("DisableUpgradeMigration", json!(false)),
        ("UpgradeVersionTag", json!("")),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) async fn configure(State(door): State<Door>, params: Params, Whole(body): Whole) -> Reply<Answer> {
    let kept = read(request::read(&body)?)?;
    let done = door.keep(PATH, kept, params.number("cas")?).await?;
    Ok(Answer::json(&params, &done))
}

/// All settings: what is not said is as Consul has it, for flags and numbers nothing.
fn read(mut object: Object) -> Reply<Map<String, Value>> {
    let mut all = Map::new();
    for (name, default) in defaults() {
        let value = match default {
            Value::Bool(_) => object.flag(&name)?.into(),
            Value::Number(_) => object.number(&name)?.unwrap_or(0).into(),
            _ if name.ends_with("Threshold") || name.ends_with("Time") => {
                object.duration(&name)?.map_or(default, |time| format_duration(time).into())
            }
            _ => object.text(&name)?.into(),
        };
        all.insert(name, value);
    }
    Ok(all)
}

/// Every member, and how many of them may go: all but one. While the database is away this one is not well, and what it
/// knows of others is old.
pub(super) async fn health(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let all = Known::of(&door);
    let server = |server: &Server| {
        all.row(server, json!({"SerfStatus": alive(server), "Leader": server.known.is_own, "Voter": true}))
    };
    let answer = json!({
        "Healthy": all.is_healthy(),
        "FailureTolerance": all.may_go(),
        "Servers": all.servers.iter().map(server).collect::<Vec<_>>(),
    });
    let status = if all.is_healthy() { StatusCode::OK } else { StatusCode::TOO_MANY_REQUESTS };
    Ok(Answer::json(&params, &answer).with_status(status))
}

/// The same by id, with who leads and who votes: the one that is asked, and everybody. It is 200 however they are.
pub(super) async fn state(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let all = Known::of(&door);
    let server = |server: &Server| {
        let more = json!({
            "NodeStatus": alive(server),
            "Status": if server.known.is_own { "leader" } else { "voter" },
            "NodeType": "voter",
            "ReadReplica": false,
            "Meta": server.known.node.definition.metadata,
        });
        (server.id().to_string(), all.row(server, more))
    };
    let leader = all.servers.iter().find(|server| server.known.is_own).map(Server::id);
    let answer = json!({
        "Healthy": all.is_healthy(),
        "FailureTolerance": all.may_go(),
        "OptimisticFailureTolerance": all.may_go(),
        "Servers": all.servers.iter().map(server).collect::<Map<_, _>>(),
        "Leader": leader.map(|id| &**id).unwrap_or_default(),
        "Voters": all.servers.iter().map(|server| &**server.id()).collect::<Vec<_>>(),
    });
    Ok(Answer::json(&params, &answer))
}

/// Everybody who shares the store, at one moment.
struct Known {
    servers: Vec<Server>,
    epoch: u64,
    index: u64,
}

impl Known {
    fn of(door: &Door) -> Self {
        let (epoch, index) = (door.registry.members().epoch(), door.registry.index());
        Self { servers: door.servers(), epoch, index }
    }

    fn is_healthy(&self) -> bool {
        self.servers.iter().all(|server| server.known.is_live)
    }

    /// One of them does all that is to be done.
    fn may_go(&self) -> usize {
        self.servers.len().saturating_sub(1)
    }

    /// What both answers say of a server, and what only one does.
    fn row(&self, server: &Server, more: Value) -> Value {
        let since = u64::try_from(server.known.member.started_unix_ms).unwrap_or_default().min(LAST);
        let mut row = json!({
            "ID": &**server.id(),
            "Name": server.name(),
            "Address": server.address(),
            "Version": VERSION,
            "LastContact": "0s",
            "LastTerm": self.epoch,
            "LastIndex": server.known.is_own.then_some(self.index),
            "Healthy": server.known.is_live,
            "StableSince": format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(since)).to_string(),
        });
        if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
            row.extend(more);
        }
        row
    }
}

fn alive(server: &Server) -> &'static str {
    if server.known.is_live { "alive" } else { "failed" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_off_and_durations_are_written_as_consul_does() {
        let object = Object::new("it", json!({"cleanup_dead_servers": true, "LastContactThreshold": "1m"}));
        let read = read(object.unwrap()).unwrap();
        assert_eq!(read["CleanupDeadServers"], true);
        assert_eq!((&read["LastContactThreshold"], &read["MaxTrailingLogs"]), (&json!("60s"), &json!(0)));
        assert_eq!(read["ServerStabilizationTime"], "10s");
        assert_eq!(read.len(), defaults().len());
    }
}
