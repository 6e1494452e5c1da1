//! Text with places for what a request has.

use http::HeaderValue;

use super::captures::Params;
use super::view::View;
use crate::path::{self, PathError};

/// A path that is sent on, or where a client is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(pub(crate) Box<[Part]>);

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// As it is.
    Text(Box<str>),
    /// The parameter with this number.
    Param(usize),
    /// What `**` matched, with one slash before it unless it is empty.
    Tail,
    /// The host that was asked for, without its port.
    Host,
    /// The path that was asked for.
    Path,
    /// The query that was asked for. Without one, a `?` right before it goes, too.
    Query,
}

impl Template {
    /// The path it gives. Never empty, with one slash at its front: two would look like an authority to some.
    pub(crate) fn path(&self, view: &View<'_>, params: &Params<'_>) -> Result<String, PathError> {
        let text = self.render(view, params);
        let path = format!("/{}", text.trim_start_matches('/'));
        // Groups of a regular expression can be put together to what no request may say.
        path::check(&path).map(|()| path)
    }

    /// The value of `Location` it gives; none if the request's host is no host.
    pub(crate) fn location(&self, view: &View<'_>, params: &Params<'_>) -> Option<HeaderValue> {
        let is_host = |host: &str| {
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:[]".contains(&b))
        };
        if self.0.contains(&Part::Host) && !view.host().is_some_and(|host| is_host(&host)) {
            return None;
        }
        let text = self.render(view, params);
        let text = if text.starts_with('/') { format!("/{}", text.trim_start_matches('/')) } else { text };
        HeaderValue::try_from(text).ok()
    }

    fn render(&self, view: &View<'_>, params: &Params<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Param(index) => text.push_str(params.value(*index)),
                Part::Tail => {
                    let tail = params.tail();
                    if !tail.is_empty() {
                        text.push('/');
                        text.push_str(tail.trim_start_matches('/'));
                    }
                }
                Part::Host => text.push_str(&view.host().unwrap_or_default()),
                Part::Path => text.push_str(&path::normal_path(view.path())),
                Part::Query => match view.head.uri.query() {
                    Some(query) => text.push_str(query),
                    None if text.ends_with('?') => drop(text.pop()),
                    None => {}
                },
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::super::{Captured, Captures, End};
    use super::*;
    use crate::compile::{captured, location, pattern, regex, rewrite};

    /// What `rewrite` makes of `uri` on a route with `path`.
    fn rewritten(path: &str, template: &str, uri: &str) -> Result<String, PathError> {
        with(path, uri, |captured, has_tail, view, params| {
            rewrite(template, captured, has_tail).expect("a template").path(view, params)
        })
    }

    fn redirected(path: &str, template: &str, uri: &str) -> Option<HeaderValue> {
        with(path, uri, |captured, has_tail, view, params| {
            location(template, captured, has_tail).expect("a template").location(view, params)
        })
    }

    fn with<T>(path: &str, uri: &str, test: impl FnOnce(&Captured, bool, &View<'_>, &Params<'_>) -> T) -> T {
        let (head, ()) =
            Request::get(uri).header("host", "A.example:80").body(()).expect("a request").into_parts();
        let view = View::new(&head, None, false);
        let (captured, captures, has_tail) = if let Some(source) = path.strip_prefix('~') {
            let captured = regex(source).expect("an expression");
            let normal = path::normal_path(view.path());
            let groups = captured.regex.as_ref().and_then(|r| r.captures(&normal)).expect("a match");
            let captures = Captures::of_groups(&groups, &normal, false);
            (captured, captures, false)
        } else {
            let pattern = pattern(path).expect("a pattern");
            let captured = captured(&pattern);
            let prefix = path::segments(view.path()).take(pattern.pieces.len());
            let captures =
                Captures::of_path(view.path(), &captured.places, prefix.last().map_or(0, |s| s.end));
            (captured, captures, pattern.end == End::Below)
        };
        let params = captures.named(&captured.names, view.path());
        test(&captured, has_tail, &view, &params)
    }

    #[test]
    fn stars_and_parameters_stand_for_what_they_matched() {
        for (path, template, uri, expected) in [
            ("/a/**", "/users/**", "/a", "/users"),
            ("/a/**", "/users/**", "/a/", "/users/"),
            ("/a/**", "/users/**", "/a/42/orders%2F7?q", "/users/42/orders%2F7"),
            ("/**", "/**", "/", "/"),
            ("/a/**", "/**", "/a", "/"),
            ("/a/**", "/**", "/a//evil.example/a", "/evil.example/a"),
            ("/a/**", "/v2/**/details", "/a/42", "/v2/42/details"),
            ("/a/**", "/v2/**/details", "/a", "/v2/details"),
            ("/a/**", "/health", "/a/x", "/health"),
            ("/{a}/{b}/**", "/{b}/x{a}y/**", "/1/%20/z", "/%20/x1y/z"),
            ("~/v([0-9]+)/(?<rest>.*)", "/{rest}/{1}/{2}", "/v7//a//b", "/a/b/7/a/b"),
            ("~/v(.*)", "/{1}", "/v//evil.example", "/evil.example"),
            ("~/(x)?y", "/{1}", "/y", "/"),
        ] {
            assert_eq!(rewritten(path, template, uri).as_deref(), Ok(expected), "{path} {template} {uri}");
        }
        assert_eq!(rewritten("~/(.)(.)(.*)", "/{1}/{2}{3}", "/..a"), Err(PathError::Dots));
    }

    #[test]
    fn clients_are_sent_where_the_template_says() {
        for (path, template, uri, expected) in [
            ("/old/{id}", "https://{host}/new/{id}?{query}", "/old/7?a=b&c", "https://a.example/new/7?a=b&c"),
            ("/old/{id}", "https://{host}/new/{id}?{query}", "/old/7", "https://a.example/new/7"),
            ("/**", "https://{host}{path}?x=1", "/a//b/", "https://a.example/a/b/?x=1"),
            ("/**", "{path}/", "//evil.example", "/evil.example/"),
            ("/**", "/**", "//evil.example", "/evil.example"),
            ("/a/**", "https://new.example/**?{query}", "/a/x?y", "https://new.example/x?y"),
            ("/a", "/größe", "/a", "/gr%C3%B6%C3%9Fe"),
        ] {
            let found = redirected(path, template, uri);
            assert_eq!(found, HeaderValue::try_from(expected).ok(), "{path} {template} {uri}");
        }
    }

    proptest! {
        #[test]
        fn the_result_stays_below_what_is_written_before(tail in "(/[a-z%2F.]{0,6}){0,4}") {
            prop_assume!(path::check(&format!("/a{tail}")).is_ok());
            let path = rewritten("/a/**", "/users/**", &format!("/a{tail}")).expect("a path");
            prop_assert!(path == "/users" || path.starts_with("/users/"));
            prop_assert_eq!(path.trim_start_matches("/users").trim_start_matches('/'), tail.trim_start_matches('/'));
        }
    }
}
