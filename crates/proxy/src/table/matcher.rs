//! What a request must have beside its path, host and method.

use http::HeaderName;

use super::captures::Params;
use super::expression::Condition;
use super::view::View;

/// What a value must look like.
#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    /// There is one.
    Any,
    /// Exactly this.
    Exact(Box<str>),
    /// All of it fits.
    Regex(regex::bytes::Regex),
}

/// All of them must hold. Of a header, parameter or cookie that comes more than once, one value has to fit.
#[derive(Debug, Default)]
pub(crate) struct Matchers {
    pub(crate) headers: Vec<(HeaderName, Matcher)>,
    pub(crate) query: Vec<(Box<str>, Matcher)>,
    pub(crate) cookies: Vec<(Box<str>, Matcher)>,
    pub(crate) when: Option<Condition>,
}

impl Matcher {
    pub(crate) fn fits(&self, value: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => text.as_bytes() == value,
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

impl Matchers {
    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty() && self.cookies.is_empty() && self.when.is_none()
    }

    pub(crate) fn fit(&self, view: &View<'_>, params: &Params<'_>) -> bool {
        self.headers.iter().all(|(name, matcher)| {
            view.head.headers.get_all(name).iter().any(|value| matcher.fits(value.as_bytes()))
        }) && self.query.iter().all(|(name, matcher)| {
            view.query().any(|(key, value)| *key == **name && matcher.fits(value.as_bytes()))
        }) && self.cookies.iter().all(|(name, matcher)| {
            view.cookies().any(|(key, value)| *key == **name && matcher.fits(value.as_bytes()))
        }) && self.when.as_ref().is_none_or(|when| when.holds(view, params))
    }
}
