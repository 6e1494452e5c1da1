//! What must not be shown: passwords in URLs, and values whose name says that they are secret.

use std::ops::Range;

/// Whether a setting of this name holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 6] = ["password", "passwd", "secret", "token", "credential", "private"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
        || name.split(['_', '-', '.']).any(|word| word == "key" || word == "pass")
}

/// Where in `text` passwords of URLs (`scheme://user:password@host`) are. A password with a bare `/` makes no valid
/// URL, but is no less secret.
pub(crate) fn passwords_in(text: &str) -> Vec<Range<usize>> {
    text.match_indices("://")
        .filter_map(|(at, _)| {
            let start = at + 3;
            let word = text[start..].split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).next()?;
            let authority = word.split(['/', '?', '#']).next()?;
            let user_end = authority.find(':')?;
            let port = authority[user_end + 1..].bytes().all(|b| b.is_ascii_digit());
            let password_end = match authority.rfind('@') {
                Some(end) => end,
                None if !port => word.rfind('@')?,
                None => return None,
            };
            (user_end < password_end).then(|| start + user_end + 1..start + password_end)
        })
        .collect()
}

/// `text` with each password in a URL replaced by `***`.
pub(crate) fn mask_urls(text: &str) -> String {
    let mut masked = text.to_owned();
    for password in passwords_in(text).into_iter().rev() {
        masked.replace_range(password, "***");
    }
    masked
}

/// The value of the setting `name`, fit to be shown.
pub(crate) fn mask(name: &str, value: &str) -> String {
    if is_secret_name(name) && !value.is_empty() { "***".to_owned() } else { mask_urls(value) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_in_a_url_is_masked() {
        assert_eq!(mask_urls("postgres://shop:s3:cr@t@db:5432/shop"), "postgres://shop:***@db:5432/shop");
        assert_eq!(mask_urls("http://127.0.0.1:8080/a:b@c"), "http://127.0.0.1:8080/a:b@c");
        assert_eq!(mask_urls("postgres://u:p/w?@db"), "postgres://u:***@db");
        assert_eq!(mask_urls("http://user@host:80/"), "http://user@host:80/");
        assert_eq!(mask_urls("x://a:b@h y://c:d@h"), "x://a:***@h y://c:***@h");
    }

    #[test]
    fn a_name_tells_a_secret() {
        for secret in ["SMTP_PASSWORD", "apiKey_KEY", "api_key", "AUTH-TOKEN", "client.secret"] {
            assert_eq!(mask(secret, "hunter2"), "***", "{secret}");
        }
        for open in ["MONKEY", "KEYBOARD", "LOG", "compass"] {
            assert_eq!(mask(open, "hunter2"), "hunter2", "{open}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_masked_without_a_panic(text in ".*(://)?.*:.*@.*") {
            let _ = mask_urls(&text);
        }
    }
}
