//! The query: flags may be bare, `flag=`, or have a value.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use trellis_registry::{Labels, Namespace, Tags};

use super::duration::parse_duration;
use crate::door::Door;
use crate::filter::Filter;
use crate::refusal::{Refusal, Reply};

/// What was asked for beside the path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    index: Option<u64>,
    wait: Option<Duration>,
}

impl Params {
    fn read(query: &str, datacenter: &str) -> Reply<Self> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        let mut params = Self { pairs: pairs.collect(), index: None, wait: None };
        if let Some(dc) = params.get("dc")
            && !dc.eq_ignore_ascii_case(datacenter)
        {
            return Err(Refusal::failed("No path to datacenter"));
        }
        if params.has("stale") && params.has("consistent") {
            return Err(Refusal::bad("Cannot specify ?stale with ?consistent, conflicting semantics."));
        }
        if let Some(text) = params.get("wait") {
            params.wait = Some(parse_duration(text).ok_or_else(|| Refusal::bad("Invalid wait time"))?);
        }
        if let Some(text) = params.get("index") {
            params.index = Some(text.parse().map_err(|_| Refusal::bad("Invalid index"))?);
        }
        Ok(params)
    }

    /// The first value of a parameter that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there, whatever its value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// A flag that may say yes or no; bare, it says yes.
    pub(crate) fn flag(&self, name: &str) -> Reply<bool> {
        match self.all(name).next() {
            Some("" | "1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(_) => Err(Refusal::bad(format!("Invalid value for ?{name}"))),
        }
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Reply<Option<u64>> {
        let parse = |text: &str| text.parse().map_err(|_| Refusal::bad(format!("Invalid value for ?{name}")));
        self.get(name).map(parse).transpose()
    }

    /// The index after which to wait, if this is a blocking query.
    pub(crate) fn index(&self) -> Option<u64> {
        self.index.filter(|index| *index > 0)
    }

    /// How long to wait.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.wait.filter(|wait| !wait.is_zero())
    }

    /// Whether the answer is for people.
    pub(crate) fn pretty(&self) -> bool {
        self.has("pretty")
    }

    /// How consistent the read is, as it is told to the client.
    pub(crate) fn consistency(&self) -> &'static str {
        if self.has("consistent") {
            "consistent"
        } else if self.has("stale") {
            "stale"
        } else {
            "leader"
        }
    }

    /// The namespace that is asked for.
    pub(crate) fn namespace(&self) -> Reply<Namespace> {
        let Some(name) = self.get("ns") else { return Ok(Namespace::default()) };
        name.parse().map_err(|error| Refusal::bad(format!("{error}")))
    }

    /// The condition on the items of the answer.
    pub(crate) fn filter(&self) -> Reply<Option<Filter>> {
        let Some(text) = self.get("filter") else { return Ok(None) };
        Filter::parse(text).map(Some).map_err(|error| Refusal::bad(error.to_string()))
    }

    /// Whether an instance has all tags that are asked for.
    pub(crate) fn tags_match(&self, tags: &Tags) -> bool {
        let mut wanted = self.all("tag").filter(|tag| !tag.is_empty());
        wanted.all(|tag| tags.iter().any(|known| known.eq_ignore_ascii_case(tag)))
    }

    /// Whether a node has all metadata that is asked for.
    pub(crate) fn meta_matches(&self, meta: &Labels) -> bool {
        self.all("node-meta").filter(|pair| !pair.is_empty()).all(|pair| {
            let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
            meta.get(key) == Some(value)
        })
    }

    /// Whether something of another cluster is asked for, of which there is never any.
    pub(crate) fn is_of_peer(&self) -> bool {
        self.get("peer").is_some() || self.get("peer-name").is_some()
    }

    /// Everything that an answer of the catalog depends on, beside its topic and the filter.
    pub(crate) fn variant(&self, endpoint: &str) -> String {
        let names = ["tag", "node-meta", "passing", "peer", "peer-name"];
        let mut relevant: Vec<_> =
            self.pairs.iter().filter(|(name, _)| names.contains(&name.as_str())).collect();
        relevant.sort();
        format!("consul/{endpoint}?{relevant:?}")
    }
}

impl FromRequestParts<Door> for Params {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Refusal> {
        Self::read(parts.uri.query().unwrap_or_default(), &door.options.datacenter)
    }
}

/// What a path has after `prefix`, decoded.
pub(crate) fn path_rest(uri: &Uri, prefix: &str) -> Reply<String> {
    let rest = uri.path().strip_prefix(prefix).unwrap_or_default();
    let text = percent_decode_str(rest).decode_utf8();
    text.map(Into::into).map_err(|_| Refusal::bad("the path is not UTF-8"))
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Params {
        Params::read(query, "dc1").unwrap()
    }

    #[test]
    fn flags_are_bare_or_have_a_value() {
        for yes in ["passing", "passing=", "passing=1", "passing=true"] {
            assert_eq!(read(yes).flag("passing"), Ok(true), "{yes}");
        }
        assert_eq!(read("passing=false&x").flag("passing"), Ok(false));
        assert_eq!(read("").flag("passing"), Ok(false));
        assert!(read("passing=maybe").flag("passing").is_err());
    }

    #[test]
    fn what_is_wrong_is_refused_with_consuls_words() {
        let refused = |query: &str| {
            let refusal = Params::read(query, "dc1").unwrap_err();
            (refusal.status.as_u16(), refusal.text)
        };
        assert_eq!(refused("dc=dc2"), (500, "No path to datacenter".into()));
        assert_eq!(refused("wait=soon"), (400, "Invalid wait time".into()));
        assert_eq!(refused("index=-1"), (400, "Invalid index".into()));
        assert_eq!(refused("stale&consistent").0, 400);
        assert!(Params::read("dc=DC1&stale&index=0&wait=525s", "dc1").is_ok());
    }

    #[test]
    fn values_are_decoded_and_what_is_asked_twice_counts_twice() {
        let params = read("tag=a%20b&tag=c+d&filter=x%3D1&index=7");
        assert_eq!(params.all("tag").collect::<Vec<_>>(), ["a b", "c d"]);
        assert_eq!((params.get("filter"), params.index()), (Some("x=1"), Some(7)));
        assert!(params.tags_match(&["A b", "c d", "e"].into_iter().collect()));
        assert!(!params.tags_match(&["a b"].into_iter().collect()));
    }

    #[test]
    fn answers_that_may_differ_are_not_shared() {
        let variant = |query: &str| read(query).variant("service");
        assert_eq!(variant("tag=a&index=7&wait=1s"), variant("stale&tag=a"));
        assert_ne!(variant("tag=a"), variant("tag=a&passing"));
        assert_ne!(variant("tag=a"), variant("tag=b"));
    }
}
