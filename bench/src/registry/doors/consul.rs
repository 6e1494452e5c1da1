//! The door for Consul's clients.

use super::super::act::{Act, Key, PORT};
use super::{Door, all_there, good, holds, http};
use crate::connection::Answer;

const JSON: &str = "application/json";

/// Asks `/v1/health`, `/v1/agent`, `/v1/kv`.
pub(in super::super) struct Consul;

impl Door for Consul {
    fn request(&self, act: Act) -> String {
        match act {
            Act::Discover(service) => {
                http("GET", &format!("/v1/health/service/{}?passing", service.name()), JSON, "")
            }
            Act::Register(instance) => {
                let body = format!(
                    "{{\"Name\":\"{}\",\"ID\":\"{}\",\"Address\":\"{}\",\"Port\":{PORT}}}",
                    instance.service.name(),
                    instance.id(),
                    instance.address(),
                );
                http("PUT", "/v1/agent/service/register", JSON, &body)
            }
            Act::Renew(instance) => {
                http("PUT", &format!("/v1/agent/check/pass/service:{}", instance.id()), JSON, "")
            }
            Act::Read(key) => http("GET", &stored(key), JSON, ""),
            Act::Write(key, version) => {
                http("PUT", &format!("/v1/kv/{}", key.name()), "text/plain", &Key::value(version))
            }
        }
    }

    fn judge(&self, act: Act, answer: &Answer) -> Result<(), String> {
        match act {
            Act::Discover(_) => all_there(answer, "\"Service\":{"),
            Act::Read(_) => holds(answer, "\"version\":"),
            Act::Write(..) => holds(answer, "true"),
            Act::Register(_) | Act::Renew(_) => good(answer),
        }
    }
}

/// The path of a stored value, as it was written.
pub(in super::super) fn stored(key: Key) -> String {
    format!("/v1/kv/{}?raw", key.name())
}
