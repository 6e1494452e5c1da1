//! `trellis services`

use trellis_core::Error;
use trellis_registry::{InstanceView, ServiceSummary};
use trellis_runtime::WallClock;

use super::client::AdminUrl;
use super::{output, small_runtime};

/// Lists services and their instances.
pub(crate) fn run(admin: &AdminUrl, json: bool) -> Result<(), Error> {
    let services: Vec<ServiceSummary> = small_runtime()?.block_on(admin.get("/v1/services"))?;
    if json {
        return output::print_json(&services);
    }
    if services.is_empty() {
        return output::print("No service is registered.\n");
    }
    let now = WallClock::system().unix_millis();
    let rows = services.iter().flat_map(|service| {
        let name = service.name.to_string();
        service.instances.iter().map(move |instance| row(&name, instance, now))
    });
    output::print(&output::table(["SERVICE", "INSTANCE", "STATUS", "ADDRESS", "SINCE", "NOTE"], rows))
}

fn row(service: &str, view: &InstanceView, now: i64) -> [String; 6] {
    let note = match (view.override_status, view.instance.status == view.reported) {
        (Some(_), _) => format!("set by an operator; it reports {}", view.reported),
        (None, false) => format!("the service is set by an operator; it reports {}", view.reported),
        (None, true) if view.expires_in_ms == Some(0) => "its lease has ended".into(),
        (None, true) => String::new(),
    };
    [
        service.to_owned(),
        view.instance.id.to_string(),
        view.instance.status.to_string(),
        view.instance.authority(),
        output::ago(now, view.since_unix_ms),
        note,
    ]
}
