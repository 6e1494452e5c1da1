//! Who may talk to the platform's APIs while there is no authentication: programs on this machine, and no web page.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};

/// Refuses requests for other hosts, with the reason. A web page can point its own name at 127.0.0.1 (DNS rebinding) and
/// make a browser send requests here, but not change the `Host` and `Origin` that the browser puts on them.
pub(super) fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
    // HTTP/2 has the host in the URI.
    let host = match headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => uri.authority().map(Authority::as_str),
    };
    if !host.is_some_and(is_here) {
        return Err("ask for this host by its IP address or as localhost".into());
    }
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
        if !origin.is_some_and(|(_, host)| is_here(host)) {
            return Err("a web page of another site may not use this API".into());
        }
    }
    Ok(())
}

/// Whether a host, with its port if it has one, is an address or this machine by name.
fn is_here(host: &str) -> bool {
    let (name_is_here, port) = if let Some(bracketed) = host.strip_prefix('[') {
        let Some((address, port)) = bracketed.split_once(']') else { return false };
        (address.parse::<Ipv6Addr>().is_ok(), port)
    } else {
        let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
        (name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok(), port)
    };
    // Nothing may stand behind a colon (RFC 3986, section 3.2.3).
    let is_port = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    name_is_here && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_this_machine() {
        for here in [
            "127.0.0.1",
            "127.0.0.1:7700",
            "localhost",
            "localhost:",
            "LOCALHOST:1",
            "[::1]:7700",
            "192.168.0.7:7700",
        ] {
            assert!(is_here(here), "{here}");
        }
        for there in [
            "",
            "evil.example",
            "localhost.evil.example:7700",
            "127.0.0.1.nip.io",
            "a b",
            "null",
            "[::1]x",
            "[::1",
            "::1",
            "127.0.0.1:x",
            "evil@127.0.0.1",
        ] {
            assert!(!is_here(there), "{there}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_refused_and_a_program_is_not() {
        let request = |pairs: &[(http::HeaderName, &str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            check(&Uri::from_static("/v1/status"), &headers)
        };
        assert!(request(&[(HOST, "127.0.0.1:7700")]).is_ok());
        assert!(request(&[(HOST, "127.0.0.1:7700"), (ORIGIN, "http://localhost:3000")]).is_ok());
        assert!(request(&[(HOST, "127.0.0.1:7700"), (ORIGIN, "https://evil.example")]).is_err());
        assert!(request(&[(HOST, "127.0.0.1:7700"), (ORIGIN, "null")]).is_err());
        assert!(request(&[(HOST, "evil.example:7700")]).is_err());
        assert!(request(&[]).is_err());
    }
}
