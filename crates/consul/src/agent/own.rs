//! What the agent says of itself.

use axum::extract::State;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::door::Door;
use crate::refusal::{Refusal, Reply};
use crate::request::Params;
use crate::servers::Server;

/// The version of Consul whose API this is, and after it that of Trellis: clients look at the first part.
pub(crate) const VERSION: &str = concat!("1.20.0+trellis.", env!("CARGO_PKG_VERSION"));
/// Shortest time to live of a session, in nanoseconds: Patroni looks here.
const SESSION_TTL_MIN: u64 = 10_000_000_000;
/// Of what was taken out without a reason.
const NO_REASON: &str = "Taken out for maintenance; no reason was given.";

/// What serf calls a member that is there, and one that has not been heard of for too long.
const ALIVE: u8 = 1;
const FAILED: u8 = 4;

fn member(door: &Door, server: &Server, is_wan: bool) -> Value {
    let (node, dc) = (server.name(), &door.options.datacenter);
    let name = if is_wan { format!("{node}.{dc}") } else { node.to_string() };
    let tags = json!({
        "role": "consul",
        "dc": dc,
        "id": &**server.id(),
        "port": server.port.to_string(),
        "build": VERSION,
        "vsn": "2",
    });
    json!({
        "Name": name,
        "Addr": server.host(),
        "Port": server.port,
        "Tags": tags,
        "Status": if server.known.is_live { ALIVE } else { FAILED },
        "ProtocolMin": 1,
        "ProtocolMax": 5,
        "ProtocolCur": 2,
        "DelegateMin": 2,
        "DelegateMax": 5,
        "DelegateCur": 4,
    })
}

pub(super) async fn itself(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let node = &door.registry.options().node;
    let (dc, name) = (&door.options.datacenter, node.name.as_str());
    let id = node.id.as_deref().unwrap_or_default();
    let servers = door.servers();
    let own = servers.iter().find(|server| server.known.is_own);
    let answer = json!({
        "Config": {
            "Datacenter": dc,
            "PrimaryDatacenter": "",
            "NodeName": name,
            "NodeID": id,
            "Revision": "",
            "Server": true,
            "Version": VERSION,
            "BuildDate": "",
            "SessionTTLMin": SESSION_TTL_MIN,
        },
        "DebugConfig": {
            "Datacenter": dc,
            "NodeName": name,
            "SessionTTLMin": "10s",
            "EnableLocalScriptChecks": door.registry.options().commands,
            "EnableRemoteScriptChecks": door.registry.options().commands,
            "HTTPMaxConnsPerClient": door.options.serve.max_connections,
            "KVMaxValueSize": door.options.max_body,
        },
        "Coord": null,
        "Member": own.map(|own| member(&door, own, false)),
        "Stats": {"consul": {
            "leader": "true",
            "leader_addr": own.map(Server::address).unwrap_or_default(),
            "known_servers": servers.len().to_string(),
            "server": "true",
        }},
        "Meta": node.metadata,
        "xDS": null,
    });
    Ok(Answer::json(&params, &answer))
}

/// Everybody who shares the store. A member that left or whose lease has ended is not among them any more.
pub(super) async fn members(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let (is_wan, servers) = (params.flag("wan")?, door.servers());
    let members: Vec<_> = servers.iter().map(|server| member(&door, server, is_wan)).collect();
    Ok(Answer::json(&params, &members))
}

pub(super) async fn version(params: Params) -> Reply<Answer> {
    Ok(Answer::json(&params, &json!({"SHA": "", "HumanVersion": VERSION, "FIPS": "", "BuildDate": ""})))
}

pub(super) async fn maintenance(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let reason = reason(&params)?;
    door.registry.set_node_maintenance(door.node(), reason.as_deref()).await?;
    Ok(Answer::empty())
}

/// Why something is taken out; `None`: it comes back.
pub(super) fn reason(params: &Params) -> Reply<Option<String>> {
    if !params.has("enable") {
        return Err(Refusal::bad("Missing value for enable"));
    }
    let reason = params.get("reason").unwrap_or(NO_REASON);
    Ok(params.flag("enable")?.then(|| reason.to_owned()))
}

/// The log is where the operating system has it.
pub(super) async fn monitor(params: Params) -> Refusal {
    let levels = ["", "trace", "debug", "info", "warn", "error", "err"];
    let level = params.get("loglevel").unwrap_or_default();
    if levels.contains(&level.to_ascii_lowercase().as_str()) {
        Refusal::unsupported("the log is not sent over HTTP; it is on the platform's standard error")
    } else {
        Refusal::bad(format!("Unknown log level: {level}"))
    }
}
