//! What a request must have: `headers`, `query`, `cookie`, `when`

use std::collections::BTreeMap;

use http::HeaderName;
use trellis_core::model;

use super::Compiler;
use super::pattern::value_regex;
use crate::mistake::key;
use crate::table::{Condition, Matcher, Matchers};

/// Where the parts of a set of matchers are written.
pub(super) struct Asked<'m> {
    pub(super) headers: (&'static str, &'m BTreeMap<String, String>),
    pub(super) query: Option<&'m BTreeMap<String, String>>,
    pub(super) cookies: Option<&'m BTreeMap<String, String>>,
    pub(super) when: Option<&'m str>,
}

impl<'m> From<&'m model::Route> for Asked<'m> {
    fn from(route: &'m model::Route) -> Self {
        Self {
            headers: ("headers", &route.headers),
            query: Some(&route.query),
            cookies: None,
            when: route.when.as_deref(),
        }
    }
}

impl<'m> From<&'m model::Canary> for Asked<'m> {
    fn from(canary: &'m model::Canary) -> Self {
        Self {
            headers: ("header", &canary.header),
            query: None,
            cookies: Some(&canary.cookie),
            when: canary.when.as_deref(),
        }
    }
}

impl Compiler<'_> {
    /// What is asked for at `at`; None if something of it is mistaken.
    pub(super) fn matchers(&mut self, at: &str, asked: &Asked<'_>) -> Option<Matchers> {
        let before = self.mistakes.len();
        let mut matchers = Matchers::default();
        let (name, headers) = asked.headers;
        for (header, text) in headers {
            let at = key(&format!("{at}.{name}"), header);
            let header = self.mistakes.take(&at, header_name(header));
            let matcher = self.mistakes.take(&at, matcher(text));
            matchers.headers.extend(header.zip(matcher));
        }
        for (name, text) in asked.query.into_iter().flatten() {
            let matcher = self.mistakes.take(key(&format!("{at}.query"), name), matcher(text));
            matchers.query.extend(matcher.map(|matcher| (name.as_str().into(), matcher)));
        }
        for (name, text) in asked.cookies.into_iter().flatten() {
            let matcher = self.mistakes.take(key(&format!("{at}.cookie"), name), matcher(text));
            matchers.cookies.extend(matcher.map(|matcher| (name.as_str().into(), matcher)));
        }
        matchers.when = self.condition(format!("{at}.when"), asked.when);
        (self.mistakes.len() == before).then_some(matchers)
    }

    pub(super) fn condition(&mut self, at: String, source: Option<&str>) -> Option<Condition> {
        source.and_then(|source| self.mistakes.take(at, Condition::compile(source)))
    }
}

/// A header's name, in any case.
pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(text).map_err(|_| format!("{text:?} is not the name of a header"))
}

fn matcher(text: &str) -> Result<Matcher, String> {
    match text.strip_prefix('~') {
        Some(source) => value_regex(source).map(Matcher::Regex),
        None if text == "*" => Ok(Matcher::Any),
        None => Ok(Matcher::Exact(text.into())),
    }
}
