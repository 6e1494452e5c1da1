//! A payment token: a secret that is passed on and never shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a client pays with. Its `Debug` form hides it, so that it cannot slip into a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Token(String);

impl Token {
    /// Most bytes of a token.
    pub(crate) const MAX_LEN: usize = 256;

    /// A token from its text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for those who pay with it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it could be a token at all.
    pub(crate) fn is_plausible(&self) -> bool {
        (1..=Self::MAX_LEN).contains(&self.0.len())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_show_itself() {
        assert!(!format!("{:?}", Token::new("tok_ok")).contains("tok_ok"));
    }
}
