//! Messages to people.

use lettre::Address;
use serde::{Deserialize, Serialize};
use trellis_sdk::core::error::Result;
use trellis_sdk::database::{Error, FromRow, Row};
use trellis_sdk::http::invalid;
use uuid::Uuid;

const MAX_SUBJECT_CHARS: usize = 200;
const MAX_TEXT_BYTES: usize = 64 << 10;

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// It is kept and will be delivered.
    Queued,
    /// The mail server, or the folder, has it.
    Sent,
    /// It was given up.
    Failed,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Message {
    pub(super) id: Uuid,
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) status: Status,
    /// How often delivery was tried.
    pub(super) attempts: u32,
    /// Why the last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(skip)]
    pub(super) created_ms: i64,
}

/// What a client wants to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct MessageInput {
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
}

impl Status {
    const ALL: [Self; 3] = [Self::Queued, Self::Sent, Self::Failed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

impl MessageInput {
    /// Every mistake if there is one.
    pub(super) fn checked(self) -> Result<Self> {
        let mut mistakes = Vec::new();
        if self.to.parse::<Address>().is_err() {
            mistakes.push(("/to".into(), "an email address looks like alice@example.com".into()));
        }
        // A line break in a subject would let its sender write headers.
        if !(1..=MAX_SUBJECT_CHARS).contains(&self.subject.chars().count())
            || self.subject.chars().any(char::is_control)
        {
            mistakes.push((
                "/subject".into(),
                format!("a subject has 1 to {MAX_SUBJECT_CHARS} printable characters"),
            ));
        }
        if !(1..=MAX_TEXT_BYTES).contains(&self.text.len()) {
            mistakes.push(("/text".into(), format!("a text has 1 to {MAX_TEXT_BYTES} bytes")));
        }
        if mistakes.is_empty() { Ok(self) } else { Err(invalid(mistakes)) }
    }
}

impl FromRow for Message {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let (id, status): (String, String) = (row.get("id")?, row.get("status")?);
        let status = Status::ALL.into_iter().find(|known| known.as_str() == status);
        Ok(Self {
            id: Uuid::parse_str(&id).map_err(|_| Error::Decode("a message's id is no UUID".into()))?,
            to: row.get("recipient")?,
            subject: row.get("subject")?,
            text: row.get("body")?,
            status: status.ok_or_else(|| Error::Decode("a message's status is not known".into()))?,
            attempts: row.get("attempts")?,
            error: row.get("last_error")?,
            created_ms: row.get("created_ms")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told() {
        let input = |to: &str, subject: &str, text: &str| {
            MessageInput { to: to.into(), subject: subject.into(), text: text.into() }.checked()
        };
        assert!(input("alice@example.com", "Grüße", "Hello\nAlice").is_ok());
        let told =
            input("alice", "a\r\nBcc: eve@example.com", "").unwrap_err().extensions()["errors"].to_string();
        for pointer in ["/to", "/subject", "/text"] {
            assert!(told.contains(pointer), "{told}");
        }
        assert!(input("a@example.com", "s", &"x".repeat(MAX_TEXT_BYTES + 1)).is_err());
    }
}
