//! Cross-origin requests, answered for the services: the server's side of the Fetch standard, section 3.3 ("CORS
//! protocol").
//!
//! The gateway's word is the only one: what a service says about CORS itself is replaced, because a browser takes two
//! answers for none.

mod origin;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::headers::{items, only, vary};
use origin::Origins;

/// Which scripts may use a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOptions {
    /// `https://shop.example`, all below a domain as `https://*.shop.example`, or `*` for any; none if empty.
    pub origins: Vec<String>,
    /// Methods beyond GET, HEAD and POST, which need no permission; `*` for any.
    pub methods: Vec<String>,
    /// Request headers that need permission; `*` for any but `Authorization`.
    pub headers: Vec<String>,
    /// Response headers that scripts may read, beyond the safe ones; `*` for any.
    pub expose: Vec<String>,
    /// Whether cookies and HTTP authentication may go along. Then no list may say `*`.
    pub credentials: bool,
    /// How long a browser may remember the permission; whole seconds. Browsers have bounds of their own.
    pub max_age: Duration,
}

/// Compiled [`CorsOptions`].
#[derive(Debug, Clone)]
pub struct Cors {
    origins: Origins,
    methods: Names,
    headers: Names,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
}

/// A list of names: how it is compared, and how it is sent.
#[derive(Debug, Clone)]
struct Names {
    any: bool,
    list: Vec<Box<str>>,
    /// `None` if the list is empty.
    value: Option<HeaderValue>,
}

/// Allowed without asking (Fetch, "CORS-safelisted method").
const SAFE_METHODS: [&str; 3] = ["GET", "HEAD", "POST"];

/// What a response says about CORS.
const RESPONSE_HEADERS: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

const PREFLIGHT_VARY: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");

impl Cors {
    /// Checks the options; the error says what is wrong and what is expected.
    pub fn compile(options: &CorsOptions) -> Result<Self, String> {
        let lists = [
            ("origins", &options.origins),
            ("methods", &options.methods),
            ("headers", &options.headers),
            ("expose", &options.expose),
        ];
        // Fetch takes `*` for a name like any other when there are credentials.
        if let Some((list, _)) =
            lists.iter().find(|(_, list)| options.credentials && list.iter().any(|n| n == "*"))
        {
            return Err(format!("{list}: \"*\" and `credentials` do not go together: name what is allowed"));
        }
        Ok(Self {
            origins: Origins::compile(&options.origins)?,
            methods: Names::compile("methods", &options.methods)?,
            headers: Names::compile("headers", &options.headers)?,
            expose: Names::compile("expose", &options.expose)?.value,
            credentials: options.credentials,
            max_age: HeaderValue::from(options.max_age.as_secs()),
        })
    }

    /// The answer to a browser that asks for permission, or `None` for any other request. What is not allowed is
    /// answered without the allow headers.
    pub fn preflight(&self, head: &Parts) -> Option<Response<()>> {
        let headers = &head.headers;
        let asks = head.method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks {
            return None;
        }
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let out = response.headers_mut();
        // A cache must not give one origin's answer to another, even if it is a no.
        out.insert(VARY, PREFLIGHT_VARY);
        if let Some(origin) = only(headers, &ORIGIN).and_then(|origin| self.allowed(origin))
            && self.takes_method(headers)
            && self.takes_headers(headers)
        {
            self.allow(out, origin);
            let lists = [
                (ACCESS_CONTROL_ALLOW_METHODS, &self.methods.value),
                (ACCESS_CONTROL_ALLOW_HEADERS, &self.headers.value),
            ];
            for (name, list) in lists {
                if let Some(list) = list {
                    out.insert(name, list.clone());
                }
            }
            out.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        Some(response)
    }

    /// Adds the permission to a response. `request_origin` is the request's only `Origin` header.
    pub fn decorate(&self, request_origin: Option<&HeaderValue>, response: &mut HeaderMap) {
        for name in RESPONSE_HEADERS {
            response.remove(name);
        }
        if !self.origins.any() {
            vary(response, "origin");
        }
        // Any origin: the answer is the same without an `Origin`, so that it can be cached for everybody.
        let origin = match request_origin {
            Some(origin) => self.allowed(origin),
            None => self.origins.any().then_some(HeaderValue::from_static("*")),
        };
        if let Some(origin) = origin {
            self.allow(response, origin);
            if let Some(expose) = &self.expose {
                response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
            }
        }
    }

    /// What to say to an origin, if it is allowed.
    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.origins.any() {
            return Some(HeaderValue::from_static("*"));
        }
        let known = origin.to_str().is_ok_and(|origin| self.origins.contains(origin));
        known.then(|| origin.clone())
    }

    fn allow(&self, out: &mut HeaderMap, origin: HeaderValue) {
        out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            out.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// Methods are compared as they are written.
    fn takes_method(&self, headers: &HeaderMap) -> bool {
        let asked = only(headers, &ACCESS_CONTROL_REQUEST_METHOD).and_then(|method| method.to_str().ok());
        asked.is_some_and(|asked| {
            SAFE_METHODS.contains(&asked)
                || self.methods.any
                || self.methods.list.iter().any(|m| **m == *asked)
        })
    }

    fn takes_headers(&self, headers: &HeaderMap) -> bool {
        items(headers, &ACCESS_CONTROL_REQUEST_HEADERS).all(|asked| {
            let named = self.headers.list.iter().any(|name| name.eq_ignore_ascii_case(asked));
            named || (self.headers.any && !asked.eq_ignore_ascii_case("authorization"))
        })
    }
}

impl Names {
    fn compile(list: &str, names: &[String]) -> Result<Self, String> {
        // A method and a header name are both tokens; so is `*`.
        if let Some(wrong) = names.iter().find(|name| Method::from_bytes(name.as_bytes()).is_err()) {
            return Err(format!("{list}: {wrong:?} is not a name: use letters, digits and \"-\""));
        }
        let value = if names.is_empty() { None } else { HeaderValue::try_from(names.join(", ")).ok() };
        let any = names.iter().any(|name| name == "*");
        Ok(Self { any, list: names.iter().map(|name| name.as_str().into()).collect(), value })
    }
}

impl Default for CorsOptions {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            methods: ["PUT", "PATCH", "DELETE"].map(Into::into).into(),
            headers: ["Authorization", "Content-Type", "Idempotency-Key"].map(Into::into).into(),
            expose: ["Retry-After", "X-Request-Id"].map(Into::into).into(),
            credentials: false,
            max_age: Duration::from_mins(10),
        }
    }
}
