//! Ports for children that bind one themselves, and sockets for those that inherit one.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

/// Connections that wait in an inherited socket while its module is restarted. The kernel may cap it (`somaxconn`).
const BACKLOG: i32 = 1024;
/// Ports that are tried before it is given up.
const TRIES: u32 = 100;
/// Below are ports that well-known services like to have.
const LOWEST: u16 = 20_000;
/// Too few ports to choose among are not worth the trouble.
const FEWEST: u16 = 500;

/// Chooses ports that nobody else is given.
///
/// They are not of the range from which the kernel takes ports for outgoing connections: one of those could take the
/// port of a module that is just being restarted, and a connection to a port where nobody listens could even meet
/// itself there.
#[derive(Debug)]
pub(crate) struct Ports {
    range: Option<RangeInclusive<u16>>,
    given: Mutex<BTreeSet<u16>>,
}

impl Ports {
    /// Ports that suit this machine.
    pub(crate) fn new() -> Self {
        let outgoing = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        Self { range: outside(&outgoing), given: Mutex::default() }
    }

    /// A free port: `wanted` if it is free. It may be taken before the child binds it, if only by somebody who chose
    /// the same number; the child then ends, and is given another when it is started again.
    pub(crate) fn choose(&self, wanted: Option<u16>) -> io::Result<u16> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(port) = wanted {
            if bind(port).is_ok() {
                given.insert(port);
                return Ok(port);
            }
            given.remove(&port);
        }
        let mut refusal = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..TRIES {
            let candidate = self.range.clone().map_or(0, fastrand::u16);
            match bind(candidate) {
                Ok((_, port)) if given.insert(port) => return Ok(port),
                Ok(_) => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

/// A listener on 127.0.0.1 for a child to inherit, and its port. Connections wait in it while nobody accepts them.
pub fn listen() -> io::Result<(TcpListener, u16)> {
    let (listener, port) = bind(0)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok((listener, port))
}

fn bind(port: u16) -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// The ports to choose from, given the range for outgoing connections as the kernel writes it.
fn outside(outgoing: &str) -> Option<RangeInclusive<u16>> {
    let mut bounds = outgoing.split_whitespace().map(str::parse::<u16>);
    let (Some(Ok(low)), Some(Ok(high))) = (bounds.next(), bounds.next()) else {
        return None;
    };
    let below = LOWEST..=low.saturating_sub(1);
    let above = high.saturating_add(1).max(LOWEST)..=u16::MAX;
    [below, above].into_iter().find(|range| range.end().saturating_sub(*range.start()) >= FEWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_outside_the_range_of_outgoing_connections() {
        assert_eq!(outside("32768\t60999\n"), Some(20_000..=32_767));
        assert_eq!(outside("1024 60999"), Some(61_000..=65_535));
        assert_eq!(outside("1024 65535"), None);
        assert_eq!(outside(""), None);
    }

    #[test]
    fn a_port_is_kept_unless_it_is_taken() {
        let ports = Ports::new();
        let port = ports.choose(None).unwrap();
        assert_eq!(ports.choose(Some(port)).unwrap(), port);
        let taken = bind(port).unwrap();
        assert_ne!(ports.choose(Some(port)).unwrap(), port);
        drop(taken);
    }

    #[test]
    fn no_port_is_given_twice() {
        for range in [None, Some(40_000..=40_050)] {
            let ports = Ports { range, given: Mutex::default() };
            let mut given: Vec<_> = (0..20).map(|_| ports.choose(None).unwrap()).collect();
            given.sort_unstable();
            given.dedup();
            assert_eq!(given.len(), 20);
        }
    }
}
