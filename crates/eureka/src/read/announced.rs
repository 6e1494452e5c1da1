//! An instance as it announces itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use trellis_core::{Error, Status};

use super::port::Port;
use super::value::{as_text, flag, member, number, status, text, wrong};
use crate::labels;

/// How long an instance stays without a heartbeat if it does not say: Eureka's default.
const LEASE: Duration = Duration::from_secs(90);
/// Seconds from one heartbeat to the next if it does not say.
pub(crate) const RENEWAL: i64 = 30;
/// The data center that is none of the clouds Eureka knows.
pub(crate) const OWN_DATA_CENTER: &str = "MyOwn";

/// What an instance says of itself, checked for its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) app: Option<String>,
    pub(crate) id: String,
    pub(crate) host_name: String,
    pub(crate) ip_addr: String,
    pub(crate) status: Status,
    pub(crate) port: Option<Port>,
    pub(crate) secure_port: Option<Port>,
    pub(crate) lease: Duration,
    pub(crate) metadata: BTreeMap<String, String>,
    /// What is kept in labels, by label.
    pub(crate) kept: BTreeMap<String, String>,
    /// Where it is, if its data center says.
    pub(crate) zone: Option<String>,
}

impl Announced {
    /// Reads the object of an instance.
    pub(super) fn read(object: &Value) -> Result<Self, Error> {
        let of = |name: &str| text(object, "instance", name);
        let missing = |name: &str, what: &str| wrong(&format!("instance/{name}"), what);
        let host_name = of("hostName")?.ok_or_else(|| missing("hostName", "the name of the host"))?;
        let ip_addr = of("ipAddr")?.ok_or_else(|| missing("ipAddr", "the address of the host"))?;
        let mut kept = BTreeMap::new();
        for name in labels::TEXTS {
            // Two values that older clients send for "none".
            let is_none = |text: &String| name == "sid" && (text == "na" || text == "unknown");
            if let Some(text) = of(name)?.filter(|text| !is_none(text)) {
                kept.insert(labels::of(name), text);
            }
        }
        let (zone, center_id) = data_center(object, &mut kept)?;
        let id = of("instanceId")?.or(center_id).unwrap_or_else(|| host_name.clone());
        let status = match of("status")? {
            Some(text) => status("instance/status", &text)?.unwrap_or(Status::Starting),
            None => Status::Up,
        };
        for name in ["overriddenStatus", "overriddenstatus"] {
            // What operators say is kept apart from what an instance says; here it only has to be a status.
            if let Some(text) = of(name)? {
                self::status(&format!("instance/{name}"), &text)?;
            }
        }
        if let Some(country) = of("countryId")? {
            let country: i64 = number("instance/countryId", &country)?;
            if country != 1 {
                kept.insert(labels::COUNTRY.into(), country.to_string());
            }
        }
        if let Some(dirty) = of("lastDirtyTimestamp")? {
            let dirty: i64 = number("instance/lastDirtyTimestamp", &dirty)?;
            kept.insert(labels::DIRTY.into(), dirty.to_string());
        }
        if let Some(said) = of("isCoordinatingDiscoveryServer")?
            && flag("instance/isCoordinatingDiscoveryServer", &said)?
        {
            kept.insert(labels::COORDINATING.into(), "true".into());
        }
        Ok(Self {
            app: of("app")?,
            id,
            host_name,
            ip_addr,
            status,
            port: Port::read(object, "port", true)?,
            secure_port: Port::read(object, "securePort", false)?,
            lease: lease(object, &mut kept)?,
            metadata: metadata(object)?,
            kept,
            zone,
        })
    }
}

/// Where the instance is and what it is called there. What is known beyond `MyOwn` goes into labels.
fn data_center(
    object: &Value,
    kept: &mut BTreeMap<String, String>,
) -> Result<(Option<String>, Option<String>), Error> {
    let place = "instance/dataCenterInfo";
    let Some(center) = member(object, "dataCenterInfo") else { return Ok((None, None)) };
    if !center.is_object() {
        return Err(wrong(place, "an object"));
    }
    let name = text(center, place, "name")?.ok_or_else(|| wrong(&format!("{place}/name"), "a text"))?;
    if !["Netflix", "Amazon", OWN_DATA_CENTER].contains(&name.as_str()) {
        return Err(wrong(&format!("{place}/name"), "Netflix, Amazon or MyOwn"));
    }
    if name != OWN_DATA_CENTER {
        kept.insert(labels::DATA_CENTER.into(), name);
    }
    let known = texts(center, "metadata", place)?;
    let (zone, id) = (known.get("availability-zone").cloned(), known.get("instance-id").cloned());
    for (key, value) in known {
        kept.insert(format!("{}{key}", labels::DATA_CENTER_OF), value);
    }
    Ok((zone, id))
}

fn lease(object: &Value, kept: &mut BTreeMap<String, String>) -> Result<Duration, Error> {
    let place = "instance/leaseInfo";
    let Some(info) = member(object, "leaseInfo") else { return Ok(LEASE) };
    if !info.is_object() {
        return Err(wrong(place, "an object"));
    }
    let seconds = |name: &str| match text(info, place, name)? {
        // Eureka takes what is not above zero for "not said".
        Some(text) => Ok(Some(number::<i64>(&format!("{place}/{name}"), &text)?).filter(|n| *n > 0)),
        None => Ok::<_, Error>(None),
    };
    if let Some(renewal) = seconds("renewalIntervalInSecs")?.filter(|renewal| *renewal != RENEWAL) {
        kept.insert(labels::RENEWAL.into(), renewal.to_string());
    }
    Ok(seconds("durationInSecs")?.map_or(LEASE, |seconds| Duration::from_secs(seconds.unsigned_abs())))
}

/// The labels of the instance's own.
fn metadata(object: &Value) -> Result<BTreeMap<String, String>, Error> {
    let metadata = texts(object, "metadata", "instance")?;
    match metadata.keys().find(|key| key.starts_with(labels::PREFIX)) {
        Some(key) => Err(wrong(
            &format!("instance/metadata/{key}"),
            "another key: what begins with `eureka.` is what this door keeps there itself",
        )),
        None => Ok(metadata),
    }
}

/// An object of texts. Members that begin with `@` are about the object, not in it; null is nothing.
fn texts(object: &Value, name: &str, place: &str) -> Result<BTreeMap<String, String>, Error> {
    let place = format!("{place}/{name}");
    let members = match member(object, name) {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(members)) => members,
        // An element without content.
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(BTreeMap::new()),
        Some(_) => return Err(wrong(&place, "an object of texts")),
    };
    let own = members.iter().filter(|(key, value)| !key.starts_with('@') && *key != "$" && !value.is_null());
    own.map(|(key, value)| match as_text(value) {
        Some(text) => Ok((key.clone(), text)),
        None => Err(wrong(&format!("{place}/{key}"), "a text")),
    })
    .collect()
}
