//! A client of the admin API.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, Request, Uri};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use trellis_core::{Blame, Code, Error, Problem, codes};
use trellis_net::{Body, Pool, body};

use super::output;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer: 100 000 instances fit.
const MAX_ANSWER: u64 = 256 << 20;

/// The address of an admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdminUrl {
    authority: Arc<str>,
    text: String,
}

impl AdminUrl {
    /// Gets the JSON at `path`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let answer = self.send(Method::GET, path, None).await?;
        self.read(path, &answer)
    }

    /// Sends an order.
    pub(crate) async fn order(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(), Error> {
        self.send(method, path, body).await.map(|_| ())
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Gets the JSON at `path`, which the platform may think about for `wait`.
    pub(crate) async fn get_after<T: DeserializeOwned>(
        &self,
        path: &str,
        wait: Duration,
    ) -> Result<T, Error> {
        let answer = self.send_within(Method::GET, path, None, None, TIMEOUT + wait).await?;
        self.read(path, &answer)
    }

    /// Sends a change with a body of any media type, in somebody's name.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
        actor: Option<&str>,
    ) -> Result<Value, Error> {
        let answer = self.send_within(method, path, body, actor, TIMEOUT).await?;
        self.read(path, &answer)
    }

    fn read<T: DeserializeOwned>(&self, path: &str, answer: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(answer)
            .map_err(|error| self.stranger(format!("{path} is not what this version expects")).because(error))
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, Error> {
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        self.send_within(method, path, body, None, TIMEOUT).await
    }

    async fn send_within(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
        actor: Option<&str>,
        limit: Duration,
    ) -> Result<Vec<u8>, Error> {
        let exchange = self.exchange(method, path, body, actor);
        let late = || self.silent(format!("no answer within {}", humantime::format_duration(limit)));
        timeout(limit, exchange).await.unwrap_or_else(|_| Err(late()))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
        actor: Option<&str>,
    ) -> Result<Vec<u8>, Error> {
        let (media, body) =
            body.map_or(("application/json", Body::empty()), |(media, bytes)| (media, Body::from(bytes)));
        let pool = Pool::new(Arc::clone(&self.authority), Arc::default());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &*self.authority)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, media)
            .header("trellis-actor", actor.unwrap_or("anonymous"))
            .body(body)
            .map_err(|error| {
                Error::new(codes::INVALID_PARAMETER, format!("{path:?} cannot be asked for")).because(error)
            })?;
        let response = pool.ask(request).await.map_err(|error| self.silent(error.to_string()))?;
        let (head, body) = response.into_parts();
        let answer = body::collect(body, MAX_ANSWER).await?;
        if head.status.is_success() {
            return Ok(answer.to_vec());
        }
        Err(match serde_json::from_slice::<Problem>(&answer) {
            Ok(problem) => refused(problem, head.status.as_u16()),
            Err(_) => self.stranger(format!("{path} answers {}", head.status)),
        })
    }

    fn silent(&self, cause: String) -> Error {
        let error = Error::new(codes::NO_PLATFORM, format!("no platform answers at {self}")).because(cause);
        output::help(
            error,
            &[
                "start it with `trellis up`",
                "if its admin API is elsewhere, name it with --admin or TRELLIS_ADMIN",
            ],
        )
    }

    fn stranger(&self, what: String) -> Error {
        let error =
            Error::new(codes::NO_PLATFORM, format!("what answers at {self} is no platform of this version"))
                .because(what);
        output::help(error, &["name the admin API with --admin or TRELLIS_ADMIN"])
    }
}

/// The platform's own error, as it said it.
fn refused(problem: Problem, status: u16) -> Error {
    let unknown = Code { status, blame: problem.blame.unwrap_or(Blame::Us), ..codes::INTERNAL };
    let code = codes::ALL.iter().find(|code| code.id == problem.code).copied().unwrap_or(unknown);
    let detail = if problem.detail.is_empty() { problem.title } else { problem.detail };
    problem
        .extensions
        .into_iter()
        .fold(Error::new(code, detail), |error, (name, value)| error.with(&name, value))
}

impl fmt::Display for AdminUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for AdminUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = || "write it like http://127.0.0.1:7700".to_owned();
        let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| wanted())?;
        let authority = uri.authority().ok_or_else(wanted)?;
        let scheme_fits = uri.scheme_str().is_none_or(|scheme| scheme == "http");
        let path_fits = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !scheme_fits || !path_fits || authority.as_str().contains('@') {
            return Err(wanted());
        }
        let host = authority.host();
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self { authority: format!("{host}:{port}").into(), text: format!("http://{authority}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_or_refused() {
        let parse = |text: &str| text.parse::<AdminUrl>().map(|url| url.authority.to_string());
        assert_eq!(parse("http://127.0.0.1:7700/"), Ok("127.0.0.1:7700".into()));
        assert_eq!(parse("localhost:7701"), Ok("localhost:7701".into()));
        assert_eq!(parse("http://[::1]:7700"), Ok("[::1]:7700".into()));
        assert_eq!(parse("http://box"), Ok("box:80".into()));
        for bad in ["", "https://127.0.0.1", "http://a/b", "http://u:p@a", "/x", "a b"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
