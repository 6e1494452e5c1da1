//! A request as routes and their expressions see it.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{COOKIE, HOST};
use http::request::Parts;
use percent_encoding::percent_decode_str;

/// Longest host name of DNS; a longer one is nobody's.
const MAX_HOST: usize = 253;

/// What may be looked at to choose a route. Nothing is read before somebody asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'r> {
    pub(crate) head: &'r Parts,
    /// Who asks, after trusted proxies are believed.
    pub(crate) client: Option<IpAddr>,
    /// It came over TLS.
    pub(crate) secure: bool,
}

impl<'r> View<'r> {
    pub(crate) fn new(head: &'r Parts, client: Option<IpAddr>, secure: bool) -> Self {
        Self { head, client, secure }
    }

    /// As it came.
    pub(crate) fn path(&self) -> &'r str {
        self.head.uri.path()
    }

    /// The host that is asked for: lower case, without port and without a dot at the end.
    pub(crate) fn host(&self) -> Option<Cow<'r, str>> {
        let written = match self.head.uri.authority() {
            Some(authority) => authority.as_str(),
            None => self.head.headers.get(HOST)?.to_str().ok()?,
        };
        let host = host_of(written);
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.len() > MAX_HOST {
            return None;
        }
        let is_lower = !host.bytes().any(|byte| byte.is_ascii_uppercase());
        Some(if is_lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) })
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Names and values of the query, decoded.
    pub(crate) fn query(&self) -> impl Iterator<Item = (Cow<'r, str>, Cow<'r, str>)> + use<'r> {
        let pairs = self.head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
    }

    /// Names and values of the cookies, as they are.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = (&'r str, &'r str)> + use<'r> {
        let lines = self.head.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(';')).filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.trim(), value.trim()))
        })
    }
}

/// `user@host:port` without what is around the host.
fn host_of(authority: &str) -> &str {
    let rest = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    // Colons within brackets are the address's own.
    let end = if rest.starts_with('[') { rest.find(']').map(|at| at + 1) } else { rest.find(':') };
    &rest[..end.unwrap_or(rest.len())]
}

fn decoded(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = headers.iter().fold(Request::get(uri), |r, (name, value)| r.header(*name, *value));
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_host_is_compared_without_case_port_and_final_dot() {
        for (written, host) in [
            ("Shop.Example:8080", "shop.example"),
            ("shop.example.", "shop.example"),
            ("[::1]:80", "[::1]"),
            ("[::1", "[::1"),
            ("user@host:1", "host"),
            ("", ""),
        ] {
            let head = head("/", &[("host", written)]);
            assert_eq!(View::new(&head, None, false).host().as_deref(), Some(host), "{written}");
        }
        // What the request line says is what is asked for (RFC 9112, section 3.2.2).
        let both = head("http://a.example/x", &[("host", "b.example")]);
        assert_eq!(View::new(&both, None, false).host().as_deref(), Some("a.example"));
        assert_eq!(View::new(&head("/", &[]), None, false).host(), None);
    }

    #[test]
    fn queries_and_cookies_are_pairs() {
        let head = head("/?a=1&b+c=%C3%BC+x&&flag&=", &[("cookie", "a=1; b=x=y"), ("cookie", "c; d=")]);
        let view = View::new(&head, None, false);
        let query: Vec<_> = view.query().map(|(n, v)| format!("{n}:{v}")).collect();
        assert_eq!(query, ["a:1", "b c:ü x", "flag:", ":"]);
        assert_eq!(view.cookies().collect::<Vec<_>>(), [("a", "1"), ("b", "x=y"), ("d", "")]);
    }
}
