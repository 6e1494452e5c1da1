//! Every way to ask a platform who serves, and to tell it something.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::{Value, json};

use super::{DEADLINE, Platform, http};

/// Where instances are: host and port.
pub(crate) type Places = BTreeSet<String>;

/// A protocol that the registry speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Native,
    Consul,
    Eureka,
    Dns,
}

impl Door {
    pub(crate) const ALL: [Self; 4] = [Self::Native, Self::Consul, Self::Eureka, Self::Dns];

    /// Where the instances of `service` are that may take traffic.
    pub(crate) fn discover(self, platform: &Platform, service: &str) -> Places {
        let place = |host: &Value, port: &Value| format!("{}:{port}", host.as_str().expect("a host"));
        match self {
            Self::Native => {
                let answer = get(&platform.admin(&format!("/v1/services/{service}/endpoints")), &[]);
                let endpoints = answer["endpoints"].as_array().expect("a list").iter();
                endpoints.map(|one| one["authority"].as_str().expect("text").to_owned()).collect()
            }
            Self::Consul => {
                let path = format!("/v1/health/service/{service}?passing");
                let answer = get(&platform.door("consul", &path), &[]);
                let rows = answer.as_array().expect("a list").iter().map(|row| &row["Service"]);
                rows.map(|one| place(&one["Address"], &one["Port"])).collect()
            }
            Self::Eureka => {
                let url = platform.door("eureka", &format!("/eureka/apps/{}", service.to_uppercase()));
                let answer = http::send("GET", &url, &[("accept", "application/json")]);
                if answer.status == 404 {
                    return Places::new();
                }
                assert_eq!(answer.status, 200, "{url}: {answer:?}");
                let answer = answer.json();
                let instances = answer["application"]["instance"].as_array().expect("a list").iter();
                let up = instances.filter(|one| one["status"] == "UP");
                up.map(|one| place(&one["ipAddr"], &one["port"]["$"])).collect()
            }
            Self::Dns => look_up(platform.dns(), service),
        }
    }

    /// Registers an instance on 10.1.0.`number`, for an hour if it may say so; returns where it is.
    pub(crate) fn register(self, platform: &Platform, service: &str, number: u8) -> String {
        let (request, place) = self.registration(platform, service, number.into());
        let answer = request.send().unwrap_or_else(|error| panic!("{request:?}: {error}"));
        assert!(is_done(&answer), "{request:?}: {answer:?}");
        place
    }

    /// What registers instance `number` of `service`, and where that is.
    pub(crate) fn registration(self, platform: &Platform, service: &str, number: u16) -> (Write, String) {
        let [high, low] = number.to_be_bytes();
        let (id, host, port) = (format!("{service}-{number}"), format!("10.1.{high}.{low}"), 8080);
        let (method, url, body) = match self {
            Self::Native => {
                let body = json!({ "service": service, "host": host, "port": port, "lease": "1h" });
                ("PUT", platform.admin(&format!("/v1/instances/{id}")), body)
            }
            Self::Consul => {
                let body = json!({ "Name": service, "ID": id, "Address": host, "Port": port });
                ("PUT", platform.door("consul", "/v1/agent/service/register"), body)
            }
            Self::Eureka => {
                let instance = json!({
                    "instanceId": id, "app": service.to_uppercase(), "hostName": host, "ipAddr": host, "status": "UP",
                    "port": { "$": port, "@enabled": "true" }, "leaseInfo": { "durationInSecs": 3600 },
                    "dataCenterInfo": {
                        "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn",
                    },
                });
                let url = platform.door("eureka", &format!("/eureka/apps/{}", service.to_uppercase()));
                ("POST", url, json!({ "instance": instance }))
            }
            Self::Dns => panic!("DNS only tells"),
        };
        (Write { method, url, body: body.to_string() }, format!("{host}:{port}"))
    }
}

/// A request that changes something.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) body: String,
}

impl Write {
    pub(crate) fn send(&self) -> std::io::Result<http::Answer> {
        http::try_with_body(self.method, &self.url, "application/json", &self.body)
    }
}

/// Whether a write was acknowledged. Consul's clients are told "false" of what was not done.
pub(crate) fn is_done(answer: &http::Answer) -> bool {
    (200..300).contains(&answer.status) && answer.body.trim() != "false"
}

fn get(url: &str, headers: &[(&str, &str)]) -> Value {
    let answer = http::send("GET", url, headers);
    assert_eq!(answer.status, 200, "{url}: {answer:?}");
    answer.json()
}

/// Asks over TCP, where everything fits.
fn look_up(door: SocketAddr, service: &str) -> Places {
    let name = Name::from_ascii(format!("{service}.service.consul.")).expect("a name");
    let mut question = Message::new(7, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(name, RecordType::SRV));
    let question = question.to_vec().expect("it can be written");
    let mut stream = TcpStream::connect(door).unwrap_or_else(|error| panic!("{door}: {error}"));
    stream.set_read_timeout(Some(DEADLINE)).expect("a time-out can be set");
    let length = u16::try_from(question.len()).expect("a short question");
    stream.write_all(&[&length.to_be_bytes()[..], &question].concat()).expect("it can be sent");
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("an answer");
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut bytes).expect("a whole answer");
    let answer = Message::from_vec(&bytes).expect("DNS");
    let address = |target: &Name| {
        let mut more = answer.additionals.iter().filter(|record| record.name == *target);
        more.find_map(|record| match &record.data {
            RData::A(address) => Some(address.0),
            _ => None,
        })
    };
    let places = answer.answers.iter().map(|record| match &record.data {
        RData::SRV(srv) => format!("{}:{}", address(&srv.target).expect("its address"), srv.port),
        other => panic!("no SRV: {other}"),
    });
    places.collect()
}
