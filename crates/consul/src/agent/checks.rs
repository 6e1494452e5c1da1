//! Checks on the own node, and what clients say of a check.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use serde_json::{Map, Value};
use trellis_registry::{
    CheckDefinition, CheckKind, CheckOwner, CheckStatus, CheckTls, CommandCheck, DEFAULT_CHECK_TIMEOUT,
    Entry, GrpcCheck, HttpCheck, InstanceKey, Labels, MAX_OUTPUT, MIN_DEREGISTER_AFTER, NODE_CHECK,
};

use crate::answer::Answer;
use crate::door::Door;
use crate::health::name_of;
use crate::refusal::{Refusal, Reply};
use crate::request::{self, Object, Params, Whole};
use crate::wire::{CheckRow, checks_of, node_checks};

/// A check of the catalog, and the id of the service that it is about.
pub(crate) struct Given {
    pub(crate) check: CheckDefinition,
    pub(crate) service: Option<String>,
}

pub(super) async fn list(State(door): State<Door>, params: Params) -> Reply<Answer> {
    let (filter, namespace) = (params.filter()?, params.namespace()?);
    let mut rows = Vec::new();
    if let Some(node) = door.registry.node(door.node()) {
        // Whether the agent is there is no check of the agent.
        rows.extend(node_checks(&node.node).into_iter().filter(|row| &*row.id != NODE_CHECK));
        for instance in node.instances.iter().filter(|instance| instance.key.namespace == namespace) {
            rows.extend(checks_of(&Entry { instance: instance.clone(), node: node.node.clone() }));
        }
    }
    let Some(filter) = filter else {
        let by_id: BTreeMap<Arc<str>, CheckRow> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        return Ok(Answer::json(&params, &by_id));
    };
    let kept = filter.keep(rows).map_err(|error| Refusal::bad(error.to_string()))?;
    let id = |row: &Value| row["CheckID"].as_str().unwrap_or_default().to_owned();
    let by_id: Map<_, _> = kept.into_iter().map(|row| (id(&row), row)).collect();
    Ok(Answer::json(&params, &by_id))
}

pub(super) async fn register(State(door): State<Door>, params: Params, Whole(body): Whole) -> Reply<Answer> {
    let mut object = request::read(&body)?;
    let service = object.text("ServiceID")?;
    let mut check = definition(object, &door, &params)?;
    if check.id.is_empty() {
        check.id = check.name.clone();
    }
    if check.id.is_empty() {
        return Err(Refusal::bad("Missing check name"));
    }
    let owner = if service.is_empty() {
        CheckOwner::Node(door.node().clone())
    } else {
        let missing = || Refusal::missing(format!("ServiceID {service:?} does not exist"));
        let key = door.own_key(&params, &service).map_err(|_| missing())?;
        door.registry.find(&key).ok_or_else(missing)?;
        CheckOwner::Instance(key)
    };
    door.registry.put_check(&owner, check).await?;
    Ok(Answer::empty())
}

pub(super) async fn deregister(
    State(door): State<Door>,
    params: Params,
    Path(id): Path<String>,
) -> Reply<Answer> {
    let key = door.own_check(&params, &id)?;
    door.registry.remove_check(&key).await?;
    Ok(Answer::empty())
}

pub(super) async fn pass(door: State<Door>, params: Params, id: Path<String>) -> Reply<Answer> {
    let note = params.get("note").unwrap_or_default().to_owned();
    report(&door, &params, &id, CheckStatus::Passing, &note)
}

pub(super) async fn warn(door: State<Door>, params: Params, id: Path<String>) -> Reply<Answer> {
    let note = params.get("note").unwrap_or_default().to_owned();
    report(&door, &params, &id, CheckStatus::Warning, &note)
}

pub(super) async fn fail(door: State<Door>, params: Params, id: Path<String>) -> Reply<Answer> {
    let note = params.get("note").unwrap_or_default().to_owned();
    report(&door, &params, &id, CheckStatus::Critical, &note)
}

pub(super) async fn update(
    State(door): State<Door>,
    params: Params,
    Path(id): Path<String>,
    Whole(body): Whole,
) -> Reply<Answer> {
    let mut object = request::read(&body)?;
    let status = status(&object.text("Status")?)?.ok_or_else(|| Refusal::bad("Invalid check status: ''"))?;
    report(&door, &params, &id, status, &object.text("Output")?)
}

fn report(door: &Door, params: &Params, id: &str, status: CheckStatus, output: &str) -> Reply<Answer> {
    let key = door.own_check(params, id)?;
    door.registry.report_check(&key, status, output)?;
    Ok(Answer::empty())
}

fn status(text: &str) -> Reply<Option<CheckStatus>> {
    match text {
        "" => Ok(None),
        "passing" => Ok(Some(CheckStatus::Passing)),
        "warning" => Ok(Some(CheckStatus::Warning)),
        "critical" => Ok(Some(CheckStatus::Critical)),
        other => Err(Refusal::bad(format!("Invalid check status: '{other}'"))),
    }
}

/// A check of the agent: it is asked, reports within its time, or says what is known of another.
pub(crate) fn definition(mut object: Object, door: &Door, params: &Params) -> Reply<CheckDefinition> {
    let kind = kind(&mut object, door, params)?;
    let interval = object.duration("Interval")?;
    if !matches!(kind, CheckKind::Ttl(_) | CheckKind::Alias(_))
        && interval.is_none_or(|interval| interval.is_zero())
    {
        return Err(Refusal::bad("Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks"));
    }
    let given = common(&mut object)?;
    let or_zero = |number: Option<u32>| number.unwrap_or(0);
    let after = object.duration("DeregisterCriticalServiceAfter")?.filter(|after| !after.is_zero());
    Ok(CheckDefinition {
        kind,
        interval: interval.unwrap_or(Duration::from_secs(10)),
        timeout: object.duration("Timeout")?.filter(|t| !t.is_zero()).unwrap_or(DEFAULT_CHECK_TIMEOUT),
        success_before_passing: or_zero(object.small("SuccessBeforePassing")?),
        failures_before_warning: or_zero(object.small("FailuresBeforeWarning")?),
        failures_before_critical: or_zero(object.small("FailuresBeforeCritical")?),
        deregister_after: after.map(|after| after.max(MIN_DEREGISTER_AFTER)),
        ..given
    })
}

/// A check of the catalog: whoever registers it knows what it says, and says so again when that changes.
pub(crate) fn reported(mut object: Object) -> Reply<Given> {
    let service = object.text("ServiceID")?;
    let service = (!service.is_empty()).then_some(service);
    let output = cut(object.text("Output")?);
    let check = CheckDefinition { initial_output: output.into(), ..common(&mut object)? };
    Ok(Given { check, service })
}

/// What all checks have.
fn common(object: &mut Object) -> Reply<CheckDefinition> {
    let id = object.first_text(&["CheckID", "ID"])?;
    let initial = status(&object.text("Status")?)?.unwrap_or(CheckStatus::Critical);
    Ok(CheckDefinition {
        name: object.text("Name")?.into(),
        notes: object.text("Notes")?.into(),
        initial,
        ..CheckDefinition::new(id, CheckKind::Reported)
    })
}

fn kind(object: &mut Object, door: &Door, params: &Params) -> Reply<CheckKind> {
    let others = "Trellis checks by TTL, HTTP, TCP, gRPC, alias and, where it is switched on, commands";
    object.without(&["UDP", "H2PING", "DockerContainerID", "OSService", "Script"], others)?;
    let tls = CheckTls {
        server_name: Some(object.text("TLSServerName")?).filter(|name| !name.is_empty()).map(Into::into),
        skip_verify: object.flag("TLSSkipVerify")?,
    };
    let mut found = Vec::new();
    if let Some(ttl) = object.duration("TTL")?.filter(|ttl| !ttl.is_zero()) {
        found.push(CheckKind::Ttl(ttl));
    }
    let url = object.text("HTTP")?;
    if !url.is_empty() {
        let headers = headers(object)?;
        let (method, body) = (object.text("Method")?.into(), object.text("Body")?.into());
        found.push(CheckKind::Http(HttpCheck { url: url.into(), method, headers, body, tls: tls.clone() }));
    }
    let tcp = object.text("TCP")?;
    if !tcp.is_empty() {
        found.push(CheckKind::Tcp(tcp.into()));
    }
    let grpc = object.text("GRPC")?;
    if !grpc.is_empty() {
        let (address, service) = grpc.split_once('/').unwrap_or((&grpc, ""));
        let tls = object.flag("GRPCUseTLS")?.then_some(tls);
        found.push(CheckKind::Grpc(GrpcCheck { address: address.into(), service: service.into(), tls }));
    }
    let mut args = object.texts("Args")?;
    args.extend(object.texts("ScriptArgs")?);
    if !args.is_empty() {
        let args = args.into_iter().map(Into::into).collect();
        found.push(CheckKind::Command(CommandCheck { args, env: Labels::default() }));
    }
    found.extend(target(object, door, params)?.map(CheckKind::Alias));
    match (found.pop(), found.is_empty()) {
        (Some(kind), true) => Ok(kind),
        (None, _) => Err(Refusal::bad(
            "Invalid check: TTL must be > 0 for TTL checks, or name HTTP, TCP, GRPC, Args, AliasNode or AliasService",
        )),
        (Some(_), false) => Err(Refusal::bad(
            "Invalid check: only one of TTL, HTTP, TCP, GRPC, Args and an alias may be named",
        )),
    }
}

/// What an alias looks at: a node, or an instance, which is on the own node unless another is named.
fn target(object: &mut Object, door: &Door, params: &Params) -> Reply<Option<CheckOwner>> {
    let (node, service) = (object.text("AliasNode")?, object.text("AliasService")?);
    if node.is_empty() && service.is_empty() {
        return Ok(None);
    }
    let node = if node.is_empty() { door.node().clone() } else { name_of(&node)? };
    if service.is_empty() {
        return Ok(Some(CheckOwner::Node(node)));
    }
    let wrong = |error| Refusal::bad(format!("Invalid AliasService {service:?}: {error}"));
    let id = service.parse().map_err(wrong)?;
    Ok(Some(CheckOwner::Instance(InstanceKey { namespace: params.namespace()?, node, id })))
}

fn headers(object: &mut Object) -> Reply<Vec<(Arc<str>, Arc<str>)>> {
    let wrong = || Refusal::bad("Request decode failed: Header is an object of lists of strings");
    let mut headers = Vec::new();
    for (name, values) in object.map("Header")? {
        let name: Arc<str> = name.into();
        for value in values.as_array().ok_or_else(wrong)? {
            headers.push((name.clone(), value.as_str().ok_or_else(wrong)?.into()));
        }
    }
    Ok(headers)
}

/// As much of an output as is kept.
fn cut(mut text: String) -> String {
    let mut end = text.len().min(MAX_OUTPUT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}
