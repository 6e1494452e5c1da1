//! The path that is sent on.

/// A route's `rewrite`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// Always this path.
    Fixed(Box<str>),
    /// `before/**after`, where `**` is what it matched in the route's path.
    Around { before: Box<str>, after: Box<str> },
}

impl Rewrite {
    /// `tail` is what follows the route's prefix in the request's path: empty, or beginning with a slash.
    pub(crate) fn apply(&self, tail: &str) -> String {
        match self {
            Self::Fixed(path) => path.to_string(),
            Self::Around { before, after } => {
                // Two slashes at the front of a path would look like an authority to some.
                let rest = tail.trim_start_matches('/');
                let slash = if tail.is_empty() { "" } else { "/" };
                let path = format!("{before}{slash}{rest}{after}");
                if path.is_empty() { "/".into() } else { path }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn around(before: &str, after: &str) -> Rewrite {
        Rewrite::Around { before: before.into(), after: after.into() }
    }

    #[test]
    fn stars_stand_for_what_they_matched() {
        for (before, after, tail, path) in [
            ("/users", "", "", "/users"),
            ("/users", "", "/", "/users/"),
            ("/users", "", "/42/orders%2F7", "/users/42/orders%2F7"),
            ("", "", "", "/"),
            ("", "", "/", "/"),
            ("", "", "/a/b", "/a/b"),
            ("", "", "//evil.example/a", "/evil.example/a"),
            ("/v2", "/details", "/42", "/v2/42/details"),
            ("/v2", "/details", "", "/v2/details"),
        ] {
            assert_eq!(around(before, after).apply(tail), path, "{before} + {tail} + {after}");
        }
        assert_eq!(Rewrite::Fixed("/health".into()).apply("/anything"), "/health");
    }

    proptest! {
        #[test]
        fn the_result_stays_below_what_is_written_before(tail in "(/[a-z%2F.]{0,6}){0,4}") {
            let path = around("/users", "").apply(&tail);
            prop_assert!(path == "/users" || path.starts_with("/users/"));
            prop_assert_eq!(path.trim_start_matches("/users").trim_start_matches('/'), tail.trim_start_matches('/'));
        }
    }
}
