//! HTTP/2 requests that are malformed (RFC 9113, section 8.1.1), though the parser takes them.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request};

/// What is wrong with a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// RFC 9113, section 8.5
    #[error("CONNECT says nowhere where to")]
    NoAuthority,
    /// RFC 9113, section 8.2.1: other parsers on the way take the space away, or do not.
    #[error("a header's value begins or ends with space")]
    Space,
    /// RFC 9113, section 8.3.1
    #[error("the Host header names another host than the authority")]
    TwoHosts,
}

/// Refuses a head that whoever it is sent on to could read differently.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Malformed> {
    let (uri, headers) = (request.uri(), request.headers());
    if uri.authority().is_none() && request.method() == Method::CONNECT {
        return Err(Malformed::NoAuthority);
    }
    if headers.values().any(has_space_around) {
        return Err(Malformed::Space);
    }
    match uri.authority() {
        Some(authority) if names_another(headers, authority, uri.scheme_str()) => Err(Malformed::TwoHosts),
        _ => Ok(()),
    }
}

fn has_space_around(value: &HeaderValue) -> bool {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let bytes = value.as_bytes();
    bytes.first().is_some_and(is_space) || bytes.last().is_some_and(is_space)
}

fn names_another(headers: &HeaderMap, authority: &Authority, scheme: Option<&str>) -> bool {
    let port: &[u8] = if scheme == Some("https") { b":443" } else { b":80" };
    let bare = |name| <[u8]>::strip_suffix(name, port).unwrap_or(name);
    let asked = bare(authority.as_str().as_bytes());
    headers.get_all(HOST).iter().any(|host| !bare(host.as_bytes()).eq_ignore_ascii_case(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<(), Malformed> {
        let request = Request::builder().method(method).uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        check(&request.body(()).unwrap())
    }

    #[test]
    fn connect_says_where_to() {
        assert_eq!(checked("CONNECT", "/", &[]), Err(Malformed::NoAuthority));
        assert_eq!(checked("CONNECT", "shop.example:443", &[]), Ok(()));
        assert_eq!(checked("GET", "/", &[]), Ok(()));
    }

    #[test]
    fn values_have_no_space_around_them() {
        for bad in [" x", "x ", "\tx", "x\t", " "] {
            assert_eq!(checked("GET", "/", &[("a", "b"), ("x-a", bad)]), Err(Malformed::Space), "{bad:?}");
        }
        assert_eq!(checked("GET", "/", &[("x-a", ""), ("x-b", "a \t b")]), Ok(()));
    }

    #[test]
    fn host_and_authority_name_one_host() {
        let host = |uri, host| checked("GET", uri, &[("host", host)]);
        for same in ["shop.example", "SHOP.example", "shop.example:80"] {
            assert_eq!(host("http://shop.example/x", same), Ok(()), "{same}");
        }
        assert_eq!(host("https://shop.example:443/", "shop.example"), Ok(()));
        for other in ["shop.example:81", "other.example", "", "shop.example:443"] {
            assert_eq!(host("http://shop.example/", other), Err(Malformed::TwoHosts), "{other}");
        }
        // Without an authority the header is all there is.
        assert_eq!(host("/", "other.example"), Ok(()));
        let twice = [("host", "shop.example"), ("host", "other.example")];
        assert_eq!(checked("GET", "http://shop.example/", &twice), Err(Malformed::TwoHosts));
    }
}
