//! The documents, in the order in which Eureka writes them; how a format writes each piece is the format's.

use super::{HashCode, Shown};
use crate::read::Port;

/// A document under way in one of the formats.
pub(crate) trait Document: Default {
    /// Begins an object; `class` is the name of a Java class, which clients in Java want to know in some places.
    fn begin(&mut self, name: &str, class: Option<&str>);
    /// Ends it.
    fn end(&mut self, name: &str);
    /// Begins a list of objects of this name.
    fn begin_list(&mut self, name: &str);
    /// Begins one of them. It ends like any other object.
    fn begin_item(&mut self, name: &str);
    /// Ends the list.
    fn end_list(&mut self);
    /// A text.
    fn text(&mut self, name: &str, text: &str);
    /// A text whose name is anything that a client gave.
    fn free(&mut self, key: &str, text: &str);
    /// A number.
    fn number(&mut self, name: &str, number: i64);
    /// A port.
    fn port(&mut self, name: &str, port: Port);
    /// What an operator said, which is written in two ways.
    fn overridden(&mut self, status: &str);
    /// The bytes.
    fn finish(self) -> Vec<u8>;
}

/// One instance.
pub(crate) fn instance<D: Document>(shown: &Shown<'_>) -> Vec<u8> {
    let mut out = D::default();
    out.begin("instance", None);
    members(&mut out, shown);
    out.end("instance");
    out.finish()
}

/// One app.
pub(crate) fn application<D: Document>(app: &str, instances: &[Shown<'_>]) -> Vec<u8> {
    let mut out = D::default();
    out.begin("application", None);
    app_members(&mut out, app, instances);
    out.end("application");
    out.finish()
}

/// Many apps, each with its instances, which need not exist before it is their turn.
pub(crate) fn applications<'a, D: Document>(
    hash_code: &HashCode,
    apps: impl Iterator<Item = (String, Vec<Shown<'a>>)>,
) -> Vec<u8> {
    let mut out = D::default();
    out.begin("applications", None);
    out.text("versions__delta", "1");
    out.text("apps__hashcode", &hash_code.to_string());
    out.begin_list("application");
    for (name, instances) in apps {
        out.begin_item("application");
        app_members(&mut out, &name, &instances);
        out.end("application");
    }
    out.end_list();
    out.end("applications");
    out.finish()
}

fn app_members(out: &mut impl Document, app: &str, instances: &[Shown<'_>]) {
    out.text("name", app);
    out.begin_list("instance");
    for shown in instances {
        out.begin_item("instance");
        members(out, shown);
        out.end("instance");
    }
    out.end_list();
}

fn members(out: &mut impl Document, shown: &Shown<'_>) {
    out.text("instanceId", &shown.id);
    out.text("hostName", &shown.host_name);
    out.text("app", &shown.app);
    out.text("ipAddr", &shown.ip_addr);
    out.text("status", shown.status.as_str());
    out.overridden(shown.overridden.map_or("UNKNOWN", |status| status.as_str()));
    out.port("port", shown.port);
    out.port("securePort", shown.secure_port);
    out.number("countryId", shown.country);
    let class = match shown.data_center {
        "Amazon" => "com.netflix.appinfo.AmazonInfo",
        _ => "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
    };
    out.begin("dataCenterInfo", Some(class));
    out.text("name", shown.data_center);
    if !shown.data_center_metadata.is_empty() {
        free(out, &shown.data_center_metadata);
    }
    out.end("dataCenterInfo");
    out.begin("leaseInfo", None);
    out.number("renewalIntervalInSecs", shown.renewal);
    out.number("durationInSecs", shown.duration);
    out.number("registrationTimestamp", shown.registered);
    // Heartbeats are not written down anywhere; that it was there then is certain.
    out.number("lastRenewalTimestamp", shown.registered);
    out.number("evictionTimestamp", shown.evicted());
    out.number("serviceUpTimestamp", shown.up_since());
    out.end("leaseInfo");
    free(out, &shown.metadata);
    for (name, text) in &shown.texts {
        out.text(name, text);
    }
    out.text("isCoordinatingDiscoveryServer", if shown.coordinating { "true" } else { "false" });
    out.text("lastUpdatedTimestamp", &shown.since.to_string());
    out.text("lastDirtyTimestamp", &shown.dirty.to_string());
    out.text("actionType", shown.action.as_str());
}

fn free(out: &mut impl Document, labels: &[(&str, &str)]) {
    let class = labels.is_empty().then_some("java.util.Collections$EmptyMap");
    out.begin("metadata", class);
    for (key, value) in labels {
        out.free(key, value);
    }
    out.end("metadata");
}
