//! r-nacos, by the HTTP API of Nacos 1.x, which is the one that needs no connection of its own kind.

use super::super::act::{Act, Instance, Key, PORT};
use super::{Door, all_there, good, holds, http};
use crate::connection::Answer;

const FORM: &str = "application/x-www-form-urlencoded";
const INSTANCE: &str = "/nacos/v1/ns/instance";
const CONFIG: &str = "/nacos/v1/cs/configs";

/// Asks `/nacos/v1`.
pub(in super::super) struct Nacos;

impl Door for Nacos {
    fn request(&self, act: Act) -> String {
        match act {
            Act::Discover(service) => {
                http("GET", &format!("{INSTANCE}/list?serviceName={}", service.name()), FORM, "")
            }
            Act::Register(instance) => {
                let form = format!(
                    "{}&weight={}&ephemeral=true&metadata=%7B%22version%22%3A%221.0%22%7D",
                    who(instance),
                    instance.weight
                );
                http("POST", INSTANCE, FORM, &form)
            }
            Act::Renew(instance) => {
                // The short form that a client sends after its first heartbeat (`lightBeatEnabled`).
                http("PUT", &format!("{INSTANCE}/beat?{}", who(instance)), FORM, "")
            }
            Act::Read(key) => http("GET", &value(key), FORM, ""),
            Act::Write(key, version) => {
                let value = Key::value(version);
                // What of JSON a form may not hold as it is.
                let value = value.replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
                http("POST", CONFIG, FORM, &format!("{}&content={value}", which(key)))
            }
        }
    }

    fn judge(&self, act: Act, answer: &Answer) -> Result<(), String> {
        match act {
            Act::Discover(_) => all_there(answer, "\"ip\":"),
            Act::Read(_) => holds(answer, "\"version\":"),
            Act::Register(_) => holds(answer, "ok"),
            Act::Renew(_) => holds(answer, "10200"),
            Act::Write(..) => good(answer),
        }
    }
}

fn who(instance: Instance) -> String {
    format!("serviceName={}&ip={}&port={PORT}", instance.service.name(), instance.address())
}

/// Slashes are no part of a name there.
fn which(key: Key) -> String {
    format!("dataId={}&group=bench", name(key))
}

fn name(key: Key) -> String {
    key.name().replace('/', ".")
}

/// The path of a value; its checksum is in the header `content-md5`.
pub(in super::super) fn value(key: Key) -> String {
    format!("{CONFIG}?{}", which(key))
}

/// The request that is answered when the value is another one than that with the checksum `md5`, or after two minutes.
pub(in super::super) fn listen(key: Key, md5: &str) -> String {
    let form = format!("Listening-Configs={}%02bench%02{md5}%01", name(key));
    let text = http("POST", &format!("{CONFIG}/listener"), FORM, &form);
    text.replacen("\r\n", "\r\nLong-Pulling-Timeout: 120000\r\n", 1)
}
