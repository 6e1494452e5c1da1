//! Paths and queries of the configuration's API.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use trellis_core::{Error, codes};

use super::args::{About, At, Look};
use crate::cli::output;

/// An address, taken apart.
pub(super) struct Place<'a> {
    app: &'a str,
    env: &'a str,
    /// The key, or the beginning of keys; may be empty.
    pub(super) rest: &'a str,
}

/// A query in the making.
#[derive(Default)]
pub(super) struct Query(String);

impl<'a> Place<'a> {
    pub(super) fn of(at: &'a At) -> Result<Self, Error> {
        let mut parts = at.address.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(app), Some(env), rest) if !app.is_empty() && !env.is_empty() => {
                Ok(Self { app, env, rest: rest.unwrap_or_default() })
            }
            _ => Err(unclear(&at.address)),
        }
    }

    /// The path of something that belongs to the key.
    pub(super) fn key(&self, what: &str) -> Result<String, Error> {
        if self.rest.is_empty() {
            return Err(unclear(&format!("{}/{}", self.app, self.env)));
        }
        let key: Vec<_> = self.rest.split('/').map(encode).collect();
        Ok(format!("{}/{}", self.space(what), key.join("/")))
    }

    /// The path of something that belongs to the application and environment.
    pub(super) fn space(&self, what: &str) -> String {
        format!("/v1/config/{}/{}/{what}", encode(self.app), encode(self.env))
    }
}

impl Query {
    pub(super) fn with(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&encode(&value.to_string()));
        self
    }

    pub(super) fn with_some(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, &value),
            None => self,
        }
    }

    pub(super) fn about(self, about: &About) -> Self {
        self.with_some("cas", about.cas).with_some("reason", about.reason.as_deref())
    }

    pub(super) fn look(self, look: &Look) -> Self {
        let query = self.with_some("instance", look.instance.as_deref()).with("reveal", &look.reveal);
        if look.label.is_empty() { query } else { query.with("labels", &look.label.join(",")) }
    }

    pub(super) fn after(self, path: &str) -> String {
        format!("{path}{}", self.0)
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn unclear(address: &str) -> Error {
    let error = Error::new(codes::INVALID_PARAMETER, format!("{address:?} is no address of a key"));
    output::help(error, &["write APP/ENVIRONMENT/KEY, such as shop/dev/orders/limits"])
}
