//! Our own API, on the admin port.

use super::super::act::{Act, Key, LEASE_SECONDS, PORT, Service};
use super::{Door, all_there, good, holds, http};
use crate::connection::Answer;

const JSON: &str = "application/json";
/// Where the configuration keys are.
const SPACE: &str = "/v1/config/bench/test/keys";

/// Asks `/v1/services`, `/v1/instances`, `/v1/config`.
pub(in super::super) struct Trellis;

impl Door for Trellis {
    fn request(&self, act: Act) -> String {
        match act {
            Act::Discover(service) => http("GET", &endpoints(service, None), JSON, ""),
            Act::Register(instance) => {
                let body = format!(
                    "{{\"service\":\"{}\",\"host\":\"{}\",\"port\":{PORT},\"weight\":{},\"lease\":\"{LEASE_SECONDS}s\",\
                     \"metadata\":{{\"version\":\"1.0\"}}}}",
                    instance.service.name(),
                    instance.address(),
                    instance.weight,
                );
                http("PUT", &format!("/v1/instances/{}", instance.id()), JSON, &body)
            }
            Act::Renew(instance) => http("POST", &format!("/v1/instances/{}/renew", instance.id()), JSON, ""),
            Act::Read(key) => http("GET", &raw(key), JSON, ""),
            Act::Write(key, version) => {
                http("PUT", &format!("{SPACE}/{}", key.name()), "text/plain", &Key::value(version))
            }
        }
    }

    fn judge(&self, act: Act, answer: &Answer) -> Result<(), String> {
        match act {
            Act::Discover(_) => all_there(answer, "\"authority\":"),
            Act::Read(_) => holds(answer, "\"version\":"),
            Act::Register(_) | Act::Renew(_) | Act::Write(..) => good(answer),
        }
    }
}

/// The path that tells who serves, at once or as soon as it is another set than `known`.
pub(in super::super) fn endpoints(service: Service, known: Option<u64>) -> String {
    let query = known.map(|revision| format!("?revision={revision}&wait=5m")).unwrap_or_default();
    format!("/v1/services/{}/endpoints{query}", service.name())
}

/// The request that is answered when the set is another one than that with the revision `known`, or in five minutes.
pub(in super::super) fn poll(service: Service, known: &str) -> String {
    let path = endpoints(service, None);
    http("GET", &format!("{path}?revision={known}&wait=5m"), JSON, "")
}

/// The path of a configuration value, as it was written.
pub(in super::super) fn raw(key: Key) -> String {
    format!("{SPACE}/{}?raw=true", key.name())
}
