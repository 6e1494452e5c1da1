//! Where the platform listens.

use std::net::SocketAddr;

use trellis_core::codes;
use trellis_core::model::AppModel;

use super::super::mistake::{Mistake, Place};
use super::super::path::Path;
use crate::settings::{Given, Overrides};

pub(super) fn check(model: &AppModel, overrides: &Overrides) -> Vec<Mistake> {
    let doors = [
        ("gateway", model.gateway.listen, overrides.gateway_listen.as_ref()),
        ("admin", model.admin.listen, overrides.admin_listen.as_ref()),
    ];
    let mut mistakes: Vec<_> =
        doors.iter().filter(|(_, address, _)| !address.ip().is_loopback()).map(exposed).collect();
    let [gateway, admin] = doors;
    if gateway.1 == admin.1 && admin.1.port() != 0 {
        let (path, place) = place(&admin);
        let message = format!("`{path}` is {}, which is `gateway.listen` already", admin.1);
        mistakes.push(Mistake::new(place, message).expected("another port, or 0 for any that is free"));
    }
    mistakes
}

type Door<'a> = (&'a str, SocketAddr, Option<&'a Given<SocketAddr>>);

fn place((name, _, given): &Door<'_>) -> (Path, Place) {
    let path = Path::keys([*name, "listen"]);
    let place = match given {
        Some(given) => Place::Outside(given.origin.to_string()),
        None => Place::Value(path.clone()),
    };
    (path, place)
}

fn exposed(door: &Door<'_>) -> Mistake {
    let (path, place) = place(door);
    Mistake::new(place, format!("`{path}` is {}, which others on the network can reach", door.1))
        .code(codes::EXPOSED_WITHOUT_AUTH)
        .expected("a loopback address such as 127.0.0.1: there is no authentication yet")
        .help("put a proxy that authenticates in front of the loopback address")
}
