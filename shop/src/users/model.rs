//! What a user is.

use serde::{Deserialize, Serialize};
use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, FromRow, Row};
use trellis_sdk::http::invalid;

const MAX_NAME_CHARS: usize = 200;
const MAX_EMAIL_BYTES: usize = 254;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) email: String,
}

/// What a client says of a user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct UserInput {
    pub(super) name: String,
    pub(super) email: String,
}

impl UserInput {
    /// The input with space around it taken off; every mistake if there is one.
    pub(super) fn checked(self) -> Result<Self> {
        let (name, email) = (self.name.trim().to_owned(), self.email.trim().to_owned());
        let mut mistakes = Vec::new();
        if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            mistakes.push(("/name".into(), format!("a name has 1 to {MAX_NAME_CHARS} printable characters")));
        }
        if !is_plausible(&email) {
            mistakes.push(("/email".into(), "an email address looks like alice@example.com".into()));
        }
        if mistakes.is_empty() { Ok(Self { name, email }) } else { Err(invalid(mistakes)) }
    }

    /// What is unique about a user.
    pub(super) fn email_key(&self) -> String {
        self.email.to_lowercase()
    }
}

/// Whether mail could be sent there. Only sending it tells for sure.
fn is_plausible(email: &str) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else { return false };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || c.is_alphanumeric())
    };
    email.len() <= MAX_EMAIL_BYTES
        && (1..=64).contains(&local.len())
        && !local.contains(['@', '<', '>', ',', ';', ':', '"', '(', ')', '[', ']', '\\'])
        && !local.chars().any(|c| c.is_whitespace() || c.is_control())
        && local.split('.').all(|part| !part.is_empty())
        && domain.contains('.')
        && domain.split('.').all(label)
}

impl FromRow for User {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self { id: row.get("id")?, name: row.get("name")?, email: row.get("email")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, email: &str) -> Result<UserInput> {
        UserInput { name: name.into(), email: email.into() }.checked()
    }

    #[test]
    fn plausible_users_pass() {
        for email in ["alice@example.com", "a.b+c@sub.example.co.uk", "jürgen@müller.de", "o'neil@x-y.ie"] {
            assert!(check("Alice", email).is_ok(), "{email}");
        }
        let trimmed = check("  Bob ", " Bob@Example.com ").unwrap();
        assert_eq!((trimmed.name.as_str(), trimmed.email.as_str()), ("Bob", "Bob@Example.com"));
        assert_eq!(trimmed.email_key(), "bob@example.com");
        assert!(check(&"ü".repeat(200), "a@b.c").is_ok());
    }

    #[test]
    fn every_mistake_is_told() {
        let error = check(" ", "nobody").unwrap_err();
        assert_eq!(error.status(), 422);
        let told = error.extensions()["errors"].to_string();
        assert!(told.contains("/name") && told.contains("/email"), "{told}");
    }

    #[test]
    fn implausible_addresses_are_refused() {
        let long = format!("{}@example.com", "x".repeat(65));
        for email in [
            "", "@", "a@", "@b.c", "a@b", "a@b.", "a@.b", "a b@c.d", "a@b@c.d", "a\n@b.c", "a@b c.d",
            "a@-b.c", "a..b@c.d", "<a@b.c>", &long,
        ] {
            assert!(check("A", email).is_err(), "{email:?}");
        }
        assert!(check(&"x".repeat(201), "a@b.c").is_err());
        assert!(check("A\u{0}B", "a@b.c").is_err());
    }
}
