//! Where the platform listens.

use std::net::SocketAddr;

use trellis_core::codes;
use trellis_core::model::AppModel;

use super::super::mistake::{Mistake, Place};
use super::super::path::Path;
use crate::settings::{Given, Overrides};

/// An address that is listened on.
struct Door<'a> {
    path: Path,
    address: SocketAddr,
    /// What overrides the file.
    given: Option<&'a Given<SocketAddr>>,
    /// Whoever comes in has to show a certificate.
    is_guarded: bool,
}

pub(super) fn check(model: &AppModel, overrides: &Overrides) -> Vec<Mistake> {
    let doors = doors(model, overrides);
    let exposed = doors.iter().filter(|door| !door.is_guarded && !door.address.ip().is_loopback());
    let mut mistakes: Vec<_> = exposed.map(exposed_at).collect();
    for (i, door) in doors.iter().enumerate().filter(|(_, door)| door.address.port() != 0) {
        if let Some(first) = doors[..i].iter().find(|first| first.address == door.address) {
            let message = format!("`{}` is {}, which is `{}` already", door.path, door.address, first.path);
            mistakes.push(
                Mistake::new(door.place(), message).expected("another port, or 0 for any that is free"),
            );
        }
    }
    mistakes
}

fn doors<'a>(model: &AppModel, overrides: &'a Overrides) -> Vec<Door<'a>> {
    let door = |path, address| Door { path, address, given: None, is_guarded: false };
    let named = |table: &'static str, address| Door {
        given: overrides.listens.get(&format!("{table}.listen")),
        ..door(Path::keys([table, "listen"]), address)
    };
    let mut doors = vec![named("gateway", model.gateway.listen), named("admin", model.admin.listen)];
    doors.extend(model.consul.enabled.then(|| named("consul", model.consul.listen)));
    doors.extend(model.dns.enabled.then(|| named("dns", model.dns.listen)));
    doors.extend(model.eureka.enabled.then(|| named("eureka", model.eureka.listen)));
    doors.extend(model.gateway.tls.as_ref().map(|tls| Door {
        is_guarded: tls.client_ca.is_some(),
        ..door(Path::keys(["gateway", "tls", "listen"]), tls.listen)
    }));
    let ports = model.tcp.iter().enumerate();
    doors.extend(ports.map(|(i, tcp)| door(Path::keys(["tcp"]).index(i).key("listen"), tcp.listen)));
    doors
}

impl Door<'_> {
    fn place(&self) -> Place {
        match self.given {
            Some(given) => Place::Outside(given.origin.to_string()),
            None => Place::Value(self.path.clone()),
        }
    }
}

fn exposed_at(door: &Door<'_>) -> Mistake {
    let message = format!("`{}` is {}, which others on the network can reach", door.path, door.address);
    let mistake = Mistake::new(door.place(), message)
        .code(codes::EXPOSED_WITHOUT_AUTH)
        .expected("a loopback address such as 127.0.0.1: there is no authentication yet")
        .help("put a proxy that authenticates in front of the loopback address");
    match door.path.to_string().as_str() {
        "gateway.tls.listen" => mistake.help("or let only clients in that have a certificate: `client_ca`"),
        _ => mistake,
    }
}
