//! What others announce on behalf of nodes: registrations and removals in the catalog.

use axum::extract::State;
use trellis_registry::{CheckOwner, InstanceKey, Lease, Name, NodeRegistration, Registration};

use crate::agent::{checks, definition};
use crate::answer::Answer;
use crate::door::Door;
use crate::health::name_of;
use crate::refusal::{Refusal, Reply};
use crate::request::{self, Object, Params, Whole};

/// What a registration is about, taken apart and checked before anything is changed.
pub(crate) struct Registered {
    pub(crate) node: Option<NodeRegistration>,
    pub(crate) service: Option<Registration>,
    pub(crate) checks: Vec<checks::Given>,
    pub(crate) name: Name,
}

pub(super) async fn register(State(door): State<Door>, params: Params, Whole(body): Whole) -> Reply<Answer> {
    let mut object = request::read(&body)?;
    same_datacenter(&door, &mut object)?;
    let name = object.text("Node")?;
    if name.is_empty() {
        return Err(Refusal::bad("Must provide node and address"));
    }
    let name = name_of(&name)?;
    let skip = object.flag("SkipNodeUpdate")? && door.registry.node(&name).is_some();
    let node = node_of(&mut object, &name)?;
    if node.address.is_empty() && !skip {
        return Err(Refusal::bad("Must provide node and address"));
    }
    let service = match object.object("Service")? {
        None => None,
        Some(service) => {
            let definition::Given { registration, checks, sidecar } = definition::read(service, &params)?;
            if !checks.is_empty() || sidecar.is_some() {
                return Err(Refusal::bad(
                    "checks of the catalog stand beside the service, not in it, and sidecars are registered by agents",
                ));
            }
            Some(Registration {
                node: Some(name.clone()),
                keep_checks: true,
                lease: Lease::None,
                ..registration
            })
        }
    };
    let mut given = object.objects("Checks")?;
    given.extend(object.object("Check")?);
    let checks = given.into_iter().map(checks::reported).collect::<Reply<Vec<_>>>()?;
    let node = (!skip).then_some(node);
    register_all(&door, &params, Registered { node, service, checks, name }).await?;
    Ok(Answer::json(&params, &true))
}

/// The node of a registration in the catalog.
pub(crate) fn node_of(object: &mut Object, name: &Name) -> Reply<NodeRegistration> {
    let id = object.text("ID")?;
    let tagged_addresses = object.labels("TaggedAddresses")?.into();
    let mut metadata = object.labels("NodeMeta")?;
    metadata.extend(object.labels("Meta")?);
    Ok(NodeRegistration {
        id: (!id.is_empty()).then(|| id.into()),
        tagged_addresses,
        metadata: metadata.into(),
        ..NodeRegistration::new(name.clone(), object.text("Address")?)
    })
}

/// Registers node, service and checks, in this order. The registry takes each for itself.
pub(crate) async fn register_all(door: &Door, params: &Params, all: Registered) -> Reply<()> {
    let Registered { node, service, checks, name } = all;
    if let Some(node) = node {
        door.registry.put_node(node).await?;
    }
    if let Some(service) = service {
        door.registry.admit(service).await?;
    }
    for given in checks {
        let owner = match &given.service {
            Some(id) => CheckOwner::Instance(InstanceKey {
                namespace: params.namespace()?,
                node: name.clone(),
                id: id.parse().map_err(|_| Refusal::bad(format!("ServiceID {id:?} is not valid")))?,
            }),
            None => CheckOwner::Node(name.clone()),
        };
        let (status, output) = (given.check.initial, given.check.initial_output.clone());
        let key = door.registry.put_check(&owner, given.check).await?;
        door.registry.report_check(&key, status, &output)?;
    }
    Ok(())
}

pub(super) async fn deregister(
    State(door): State<Door>,
    params: Params,
    Whole(body): Whole,
) -> Reply<Answer> {
    let mut object = request::read(&body)?;
    same_datacenter(&door, &mut object)?;
    let name = object.text("Node")?;
    if name.is_empty() {
        return Err(Refusal::bad("Must provide node"));
    }
    let name = name_of(&name)?;
    let (service, check) = (object.text("ServiceID")?, object.text("CheckID")?);
    let namespace = params.namespace()?;
    // What is not there is removed, as far as the client is concerned.
    if !service.is_empty() {
        if let Ok(id) = service.parse() {
            let key = InstanceKey { namespace, node: name, id };
            if door.registry.find(&key).is_some() {
                door.registry.remove(&key).await?;
            }
        }
    } else if !check.is_empty() {
        if let Some(found) = door.registry.find_check(&namespace, &name, &check) {
            door.registry.remove_check(&found.key).await?;
        }
    } else if door.registry.node(&name).is_some() {
        door.registry.remove_node(&name).await?;
    }
    Ok(Answer::json(&params, &true))
}

fn same_datacenter(door: &Door, object: &mut Object) -> Reply<()> {
    let datacenter = object.text("Datacenter")?;
    if datacenter.is_empty() || datacenter.eq_ignore_ascii_case(&door.options.datacenter) {
        return Ok(());
    }
    Err(Refusal::failed("No path to datacenter"))
}
