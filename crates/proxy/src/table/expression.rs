//! Expressions over a request: conditions, and keys that tell requests apart.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use trellis_expr::{Error, Expression, Limits};

use super::captures::Params;
use super::view::View;
use crate::mistake::hint;
use crate::path;

/// An expression over a request is evaluated for each, so it may cost little.
const LIMITS: Limits = Limits { max_source_bytes: 4096, max_steps: 20_000 };

/// What `request` has.
const MEMBERS: [&str; 8] = ["method", "path", "host", "scheme", "address", "headers", "query", "cookies"];

/// The variables there are.
const VARIABLES: [&str; 2] = ["request", "params"];

/// An expression with what it looks at.
#[derive(Debug)]
struct OverRequest {
    expression: Expression,
    /// By the places in [`MEMBERS`].
    members: [bool; MEMBERS.len()],
}

/// Something that holds for a request or does not.
#[derive(Debug)]
pub(crate) struct Condition {
    over: OverRequest,
    failures: AtomicU64,
}

/// Something by which requests are told apart. Keys of the same source are equal.
#[derive(Debug, Clone)]
pub(crate) struct Key(Arc<OverRequest>);

impl OverRequest {
    fn compile(source: &str) -> Result<Self, String> {
        let expression = Expression::compile(source, LIMITS).map_err(|error| error.to_string())?;
        if let Some(unknown) = expression.variables().iter().find(|v| !VARIABLES.contains(&v.name.as_str())) {
            let hint = hint(&unknown.name, VARIABLES.into_iter());
            return Err(format!(
                "at {}: {:?} is not there: an expression sees `request` and `params`{hint}",
                unknown.position, unknown.name
            ));
        }
        let code = without_texts(source);
        if let Some(name) = uses(&code).find(|name| !name.is_empty() && !MEMBERS.contains(name)) {
            let known = MEMBERS.join(", ");
            return Err(format!(
                "request.{name} is not there: a request has {known}{}",
                hint(name, MEMBERS.into_iter())
            ));
        }
        let uses: Vec<&str> = uses(source).collect();
        // What is not named outright may be any of them: request["path"].
        let all = uses.iter().any(|used| !MEMBERS.contains(used));
        let members = MEMBERS.map(|member| all || uses.contains(&member));
        Ok(Self { expression, members })
    }

    fn evaluate(&self, view: &View<'_>, params: &Params<'_>) -> Result<Value, Error> {
        let mut variables = Map::new();
        if self.expression.uses("request") {
            let members = MEMBERS.iter().zip(self.members).filter(|(_, used)| *used);
            let members = members.filter_map(|(name, _)| Some(((*name).to_owned(), member(name, view)?)));
            variables.insert("request".into(), Value::Object(members.collect()));
        }
        if self.expression.uses("params") {
            let params = params.iter().map(|(name, value)| (name.to_owned(), path::normal(value).into()));
            variables.insert("params".into(), Value::Object(params.collect()));
        }
        self.expression.evaluate(&variables)
    }
}

/// The source with blanks for what stands in quotes.
fn without_texts(source: &str) -> String {
    let (mut quote, mut is_escaped) = (None, false);
    let blank = |c: char| match quote {
        Some(_) if is_escaped => {
            is_escaped = false;
            ' '
        }
        Some(end) => {
            is_escaped = c == '\\';
            quote = quote.filter(|_| c != end);
            ' '
        }
        None => {
            quote = Some(c).filter(|c| matches!(c, '"' | '\''));
            c
        }
    };
    source.chars().map(blank).collect()
}

/// What stands after `request.` wherever `request` is written; empty where something else follows.
fn uses(source: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let whole = source.match_indices("request").filter(move |(at, _)| !source[..*at].ends_with(is_word));
    whole.map(|(at, word)| {
        let after = &source[at + word.len()..];
        let name = after.strip_prefix('.').unwrap_or_default();
        let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
        &name[..end]
    })
}

fn member(name: &str, view: &View<'_>) -> Option<Value> {
    Some(match name {
        "method" => view.head.method.as_str().into(),
        "path" => path::normal_path(view.path()).into(),
        "host" => view.host().unwrap_or_default().into(),
        "scheme" => view.scheme().into(),
        "address" => view.client?.to_canonical().to_string().into(),
        "headers" => {
            let mut all = Map::new();
            for (name, value) in &view.head.headers {
                joined(&mut all, name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
            }
            Value::Object(all)
        }
        "query" => first(view.query().map(|(name, value)| (name.into_owned(), value.into_owned()))),
        "cookies" => first(view.cookies().map(|(name, value)| (name.to_owned(), value.to_owned()))),
        _ => return None,
    })
}

/// Of those with the same name the first.
fn first(pairs: impl Iterator<Item = (String, String)>) -> Value {
    let mut all = Map::new();
    for (name, value) in pairs {
        all.entry(name).or_insert_with(|| value.into());
    }
    Value::Object(all)
}

/// Headers of the same name are one list (RFC 9110, section 5.3).
fn joined(all: &mut Map<String, Value>, name: &str, value: &str) {
    match all.get_mut(name) {
        Some(Value::String(list)) => {
            list.push_str(", ");
            list.push_str(value);
        }
        _ => {
            all.insert(name.to_owned(), value.into());
        }
    }
}

impl Condition {
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        Ok(Self { over: OverRequest::compile(source)?, failures: AtomicU64::new(0) })
    }

    /// Whether it is true. What fails, or is neither true nor false, does not hold, and is counted.
    pub(crate) fn holds(&self, view: &View<'_>, params: &Params<'_>) -> bool {
        if let Ok(Value::Bool(holds)) = self.over.evaluate(view, params) {
            return holds;
        }
        self.failures.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// How often it had no answer.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

impl Key {
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        OverRequest::compile(source).map(|over| Self(Arc::new(over)))
    }

    /// The key of a request; none if the expression fails or gives null.
    pub(crate) fn of(&self, view: &View<'_>, params: &Params<'_>) -> Option<String> {
        match self.0.evaluate(view, params).ok()? {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    pub(crate) fn source(&self) -> &str {
        self.0.expression.source()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_read() {
        let members = |source: &str| {
            let over = OverRequest::compile(source).unwrap_or_else(|error| panic!("{error}"));
            let used = MEMBERS.iter().zip(over.members).filter(|(_, used)| *used);
            used.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(members("request.path == '/x' && 'a' in request.headers"), "path headers");
        assert_eq!(members("params.id == 'x'"), "");
        for all in ["request['path'] == 'x'", "size(request) > 1", "request . path == ''"] {
            assert_eq!(members(all), MEMBERS.join(" "), "{all}");
        }
    }

    #[test]
    fn what_a_request_never_has_is_a_mistake() {
        let mistake = |source: &str| OverRequest::compile(source).err();
        let error = mistake("request.pth == '/x'").expect("a mistake");
        assert!(
            error.starts_with("request.pth is not there") && error.ends_with("did you mean \"path\"?"),
            "{error}"
        );
        assert!(mistake("claims.sub == ''").is_some_and(|error| error.contains("`request` and `params`")));
        for fine in [
            "params.request.x == 1",
            "'request.pth \\' request.x' == request.path",
            "request.headers.host == ''",
        ] {
            assert_eq!(mistake(fine), None, "{fine}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_source_is_survived(source in "\\PC{0,10}(request\\PC{0,6}|'|\\.){0,4}") {
            let _ = Condition::compile(&source);
        }
    }
}
