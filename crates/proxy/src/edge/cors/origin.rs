//! Which origins are allowed.

use std::collections::HashSet;

use http::Uri;

/// Compiled origins. A browser sends an origin in one form (lower case, no default port, no path: Fetch, "serializing
/// an origin"), so exact ones are compared byte by byte.
#[derive(Debug, Clone)]
pub(super) struct Origins {
    any: bool,
    exact: HashSet<Box<str>>,
    below: Vec<Below>,
}

/// `https://*.shop.example:8443`: every name below a domain, at any depth, but not the domain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Below {
    /// `https://`
    scheme: Box<str>,
    /// `.shop.example:8443`
    domain: Box<str>,
}

impl Origins {
    pub(super) fn compile(origins: &[String]) -> Result<Self, String> {
        let mut compiled = Self { any: false, exact: HashSet::new(), below: Vec::new() };
        for text in origins {
            if text == "*" {
                compiled.any = true;
            } else if let Some((scheme, domain)) = text.split_once("*.").filter(|(s, _)| s.ends_with("://")) {
                let plain = normal(&format!("{scheme}{domain}")).map_err(|why| mistake(text, why))?;
                compiled.below.push(Below::new(&plain).map_err(|why| mistake(text, why))?);
            } else {
                compiled.exact.insert(normal(text).map_err(|why| mistake(text, why))?.into());
            }
        }
        Ok(compiled)
    }

    /// Whether every origin is allowed.
    pub(super) fn any(&self) -> bool {
        self.any
    }

    /// Whether an origin is named, or below a domain that is.
    pub(super) fn contains(&self, origin: &str) -> bool {
        self.exact.contains(origin) || self.below.iter().any(|below| below.contains(origin))
    }
}

impl Below {
    fn new(plain: &str) -> Result<Self, &'static str> {
        let at = plain.find("://").map_or(0, |at| at + 3);
        let (scheme, domain) = plain.split_at(at);
        let host = domain.split(':').next().unwrap_or_default();
        // Anybody can have a name below `.com`.
        if !host.contains('.') && host != "localhost" {
            return Err("the domain after \"*.\" needs two parts, such as \"*.shop.example\"");
        }
        if host.parse::<std::net::Ipv4Addr>().is_ok() || host.starts_with('[') {
            return Err("there is nothing below an address");
        }
        Ok(Self { scheme: scheme.into(), domain: format!(".{domain}").into() })
    }

    fn contains(&self, origin: &str) -> bool {
        let rest = origin.strip_prefix(&*self.scheme);
        let name = rest.and_then(|rest| rest.strip_suffix(&*self.domain));
        // Only what can be in a name: no port, user or path, behind which another host could be.
        let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        name.is_some_and(|name| !name.is_empty() && !name.starts_with('.') && name.bytes().all(in_name))
    }
}

/// The form in which a browser sends an origin.
fn normal(text: &str) -> Result<String, &'static str> {
    const FORM: &str = "an origin is a scheme, a host and perhaps a port, such as \"https://shop.example\"";
    if text.eq_ignore_ascii_case("null") {
        return Err("\"null\" is what sandboxed documents say, whoever made them");
    }
    let uri: Uri = text.parse().map_err(|_| FORM)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(FORM) };
    // `Uri` adds the slash of an empty path, so the text itself is looked at.
    let behind = text.get(scheme.len() + 3..).unwrap_or_default();
    if behind != authority.as_str() || authority.as_str().contains(['@', '*']) || authority.host().is_empty()
    {
        return Err(FORM);
    }
    // A port that is no number is no port to `Uri`.
    let port = match behind[authority.host().len()..].strip_prefix(':').map(str::parse::<u16>) {
        None => None,
        Some(Err(_)) => return Err(FORM),
        Some(Ok(80)) if scheme == "http" => None,
        Some(Ok(443)) if scheme == "https" => None,
        Some(Ok(port)) => Some(port),
    };
    let port = port.map_or(String::new(), |port| format!(":{port}"));
    Ok(format!("{}://{}{port}", scheme.to_ascii_lowercase(), authority.host().to_ascii_lowercase()))
}

fn mistake(text: &str, why: &str) -> String {
    format!("origins: {text:?}: {why}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origins(list: &[&str]) -> Result<Origins, String> {
        Origins::compile(&list.iter().map(|&o| o.into()).collect::<Vec<_>>())
    }

    #[test]
    fn origins_are_compared_as_browsers_write_them() {
        let known =
            origins(&["HTTPS://Shop.Example:443", "http://localhost:3000", "http://[::1]:80", "app://x"])
                .unwrap();
        for origin in ["https://shop.example", "http://localhost:3000", "http://[::1]", "app://x"] {
            assert!(known.contains(origin), "{origin}");
        }
        for origin in
            ["http://shop.example", "https://shop.example:444", "https://shop.example.evil", "null", ""]
        {
            assert!(!known.contains(origin), "{origin}");
        }
    }

    #[test]
    fn a_star_stands_for_names_below_a_domain() {
        let known = origins(&["https://*.shop.example", "http://*.localhost:3000"]).unwrap();
        for origin in ["https://a.shop.example", "https://a-1.b.shop.example", "http://x.localhost:3000"] {
            assert!(known.contains(origin), "{origin}");
        }
        for origin in [
            "https://shop.example",
            "https://.shop.example",
            "https://evilshop.example",
            "http://a.shop.example",
            "https://a.shop.example:8443",
            "https://a.shop.example.evil",
            "https://evil.example/.shop.example",
            "https://evil.example:1.shop.example",
            "https://evil.example@a.shop.example",
            "https://evil.example#.shop.example",
        ] {
            assert!(!known.contains(origin), "{origin}");
        }
    }

    #[test]
    fn mistakes_say_what_is_expected() {
        for (origin, why) in [
            ("shop.example", "such as"),
            ("https://shop.example/", "such as"),
            ("https://shop.example/a", "such as"),
            ("https://user@shop.example", "such as"),
            ("https://shop.example:99999", "such as"),
            ("https://*shop.example", "such as"),
            ("https://a.*.shop.example", "such as"),
            ("https://*.*.example", "such as"),
            ("https://größe.example", "such as"),
            ("https://", "such as"),
            ("null", "sandboxed"),
            ("https://*.com", "two parts"),
            ("https://*.10.0.0.1", "nothing below"),
        ] {
            let error = origins(&[origin]).unwrap_err();
            assert!(error.starts_with(&format!("origins: {origin:?}: ")) && error.contains(why), "{error}");
        }
        assert!(!origins(&[]).unwrap().contains("https://shop.example"), "none is allowed");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,30}", origin in "\\PC{0,30}") {
            if let Ok(known) = origins(&[&text]) {
                let _ = known.contains(&origin);
            }
        }

        #[test]
        fn nothing_outside_the_domain_is_below_it(origin in "https?://[a-z.:/@#-]{0,12}\\.shop\\.example[a-z.:/]{0,3}") {
            let known = origins(&["https://*.shop.example"]).unwrap();
            if known.contains(&origin) {
                let uri: Uri = origin.parse().unwrap();
                prop_assert!(uri.host().unwrap().ends_with(".shop.example") && uri.scheme_str() == Some("https"));
            }
        }
    }
}
