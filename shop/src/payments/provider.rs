//! The payment provider. This one is simulated and decides by the token alone, as the sandboxes of real ones do.

use crate::token::Token;

/// What the provider says to a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Approved,
    Declined,
    UnknownToken,
}

/// Asks the provider.
pub(super) fn decide(token: &Token) -> Decision {
    match token.reveal() {
        "tok_ok" => Decision::Approved,
        "tok_declined" => Decision::Declined,
        _ => Decision::UnknownToken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_decides() {
        assert_eq!(decide(&Token::new("tok_ok")), Decision::Approved);
        assert_eq!(decide(&Token::new("tok_declined")), Decision::Declined);
        assert_eq!(decide(&Token::new("4111111111111111")), Decision::UnknownToken);
    }
}
