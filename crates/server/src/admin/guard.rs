//! Who may talk to the platform's APIs while there is no authentication: programs on this machine, and no web page.

use std::net::IpAddr;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};
use trellis_core::{Error, codes};
use trellis_net::body;

use super::answer;

/// Largest request body, in bytes.
const MAX_BODY: u64 = 1 << 20;

/// Refuses requests for other hosts. A web page can point its own name at 127.0.0.1 (DNS rebinding) and make a browser
/// send requests here, but not change the `Host` and `Origin` that the browser puts on them.
pub(super) async fn only_this_machine(request: Request, next: Next) -> Response {
    match check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(text) => answer::refuse(request.headers(), &Error::new(codes::FORBIDDEN_HOST, text)),
    }
}

/// Bounds every body; one that says it is too large fails when it is read.
pub(super) async fn limit_body(request: Request) -> Request {
    request.map(|inner| body::limit(inner, MAX_BODY))
}

fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
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

fn is_here(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_this_machine() {
        for here in
            ["127.0.0.1", "127.0.0.1:7700", "localhost", "LOCALHOST:1", "[::1]:7700", "192.168.0.7:7700"]
        {
            assert!(is_here(here), "{here}");
        }
        for there in ["", "evil.example", "localhost.evil.example:7700", "127.0.0.1.nip.io", "a b", "null"] {
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
