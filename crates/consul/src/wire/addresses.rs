//! Addresses by network. The registry keeps texts; Consul's services have an address and a port.

use std::collections::BTreeMap;

use serde::Serialize;
use trellis_registry::Labels;

/// An address and its port.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Address<'a> {
    pub(crate) address: &'a str,
    pub(crate) port: u16,
}

/// Kept as `host:port`, or the host alone if the port is that of the service.
pub(crate) fn write_address(address: &str, port: u16) -> String {
    match (port, address.contains(':')) {
        (0, _) => address.to_owned(),
        (_, true) => format!("[{address}]:{port}"),
        (_, false) => format!("{address}:{port}"),
    }
}

/// The addresses of a service that listens on `port`.
pub(crate) fn read_addresses(labels: &Labels, port: u16) -> BTreeMap<&str, Address<'_>> {
    labels.iter().map(|(network, text)| (network, read_address(text, port))).collect()
}

fn read_address(text: &str, port: u16) -> Address<'_> {
    let split = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text.rsplit_once(':').filter(|(host, _)| !host.contains(':')),
    };
    let split = split.and_then(|(address, port)| Some(Address { address, port: port.parse().ok()? }));
    split.unwrap_or(Address { address: text, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (address, port) in [("10.0.0.1", 8080), ("::1", 80), ("fe80::1", 1), ("db.internal", 5432)] {
            let text = write_address(address, port);
            assert_eq!(read_address(&text, 9), Address { address, port });
        }
        for address in ["10.0.0.1", "::1", "db"] {
            assert_eq!(read_address(&write_address(address, 0), 9), Address { address, port: 9 });
        }
    }
}
