//! `trellis override`

use http::Method;
use serde_json::json;
use trellis_core::{Error, InstanceId, ServiceName, Status, codes};
use trellis_registry::ServiceSummary;

use super::client::AdminUrl;
use super::{output, small_runtime};

/// Says what status `target` (a service, or `service/instance`) has, or takes that back.
pub(crate) fn run(admin: &AdminUrl, target: &str, status: Option<Status>, json: bool) -> Result<(), Error> {
    let path = small_runtime()?.block_on(say(admin, target, status))?;
    if json {
        return output::print_json(&json!({ "target": target, "status": status, "path": path }));
    }
    output::print(&match status {
        Some(status) => format!("{target} is {status} until you say `trellis override {target} none`\n"),
        None => format!("{target} is what its health says\n"),
    })
}

async fn say(admin: &AdminUrl, target: &str, status: Option<Status>) -> Result<String, Error> {
    let path = match target.split_once('/') {
        Some((service, instance)) => {
            let (service, instance) = (name(service)?, instance_id(instance)?);
            belongs(admin, &service, &instance).await?;
            format!("/v1/instances/{instance}/override")
        }
        None => format!("/v1/services/{}/override", name(target)?),
    };
    match status {
        Some(status) => admin.order(Method::PUT, &path, Some(&json!({ "status": status }))).await?,
        None => admin.order(Method::DELETE, &path, None).await?,
    }
    Ok(path)
}

/// An instance of another service would be a slip.
async fn belongs(admin: &AdminUrl, service: &ServiceName, id: &InstanceId) -> Result<(), Error> {
    let summary: ServiceSummary = admin.get(&format!("/v1/services/{service}")).await?;
    if summary.instances.iter().any(|view| view.instance.id == *id) {
        return Ok(());
    }
    let known: Vec<_> = summary.instances.iter().map(|view| view.instance.id.to_string()).collect();
    Err(Error::new(codes::NOT_FOUND, format!("{service} has no instance {id}; it has {}", known.join(", "))))
}

fn name(text: &str) -> Result<ServiceName, Error> {
    text.parse().map_err(|error: trellis_core::name::InvalidName| invalid(error.to_string()))
}

fn instance_id(text: &str) -> Result<InstanceId, Error> {
    text.parse()
        .map_err(|error: trellis_core::instance::InvalidInstanceId| invalid(format!("{text:?}: {error}")))
}

fn invalid(why: String) -> Error {
    output::help(
        Error::new(codes::INVALID_PARAMETER, why),
        &["write SERVICE, or SERVICE/INSTANCE; `trellis services` lists both"],
    )
}
