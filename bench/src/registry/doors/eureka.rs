//! The door for Eureka's clients. It has no configuration, and says so.

use super::super::act::{Act, Instance, LEASE_SECONDS, PORT};
use super::{Door, all_there, good, http};
use crate::connection::Answer;

/// Asks `/eureka/apps`.
pub(in super::super) struct Eureka;

impl Door for Eureka {
    fn request(&self, act: Act) -> String {
        match act {
            Act::Discover(service) => http("GET", &app(&service.name()), "", ""),
            Act::Register(instance) => {
                http("POST", &app(&instance.service.name()), "application/json", &body(instance))
            }
            Act::Renew(instance) => {
                let path = format!("{}/{}", app(&instance.service.name()), instance.id());
                http("PUT", &path, "", "")
            }
            Act::Read(key) | Act::Write(key, _) => http("GET", &format!("/no-keys/{}", key.name()), "", ""),
        }
    }

    fn judge(&self, act: Act, answer: &Answer) -> Result<(), String> {
        match act {
            Act::Discover(_) => all_there(answer, "<instanceId>"),
            Act::Register(_) | Act::Renew(_) => good(answer),
            Act::Read(_) | Act::Write(..) => Err("Eureka has no configuration".into()),
        }
    }
}

fn app(service: &str) -> String {
    format!("/eureka/apps/{}", service.to_uppercase())
}

fn body(instance: Instance) -> String {
    let address = instance.address();
    serde_json::json!({"instance": {
        "instanceId": instance.id(),
        "app": instance.service.name().to_uppercase(),
        "hostName": address.to_string(),
        "ipAddr": address.to_string(),
        "port": {"$": PORT, "@enabled": "true"},
        "status": "UP",
        "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": LEASE_SECONDS},
        "dataCenterInfo": {
            "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn",
        },
    }})
    .to_string()
}
