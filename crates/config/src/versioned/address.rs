//! Where a value is: application, environment, path.

use std::fmt;
use std::sync::Arc;

use trellis_core::ServiceName;

use crate::error::{Error, Result};

/// Longest path, in bytes.
const MAX_PATH: usize = 256;
/// Most segments of a path.
const MAX_SEGMENTS: usize = 16;

/// An application in an environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space {
    /// The application.
    pub app: ServiceName,
    /// The environment, such as `dev`.
    pub env: ServiceName,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Application and environment.
    pub space: Space,
    path: Arc<str>,
}

impl Space {
    /// The name under which everything of it is kept begins so.
    pub(crate) fn prefix(&self) -> String {
        format!("{}/{}/", self.app, self.env)
    }

    /// A key in it: segments of letters, digits, `.`, `_` and `-`, separated by `/`.
    pub fn key(&self, path: &str) -> Result<Address> {
        check(path)?;
        Ok(Address { space: self.clone(), path: path.into() })
    }

    /// Names of all keys at or below a path; an empty one stands for all.
    pub(crate) fn scope(&self, prefix: &str) -> Result<String> {
        let trimmed = prefix.trim_end_matches('/');
        if !trimmed.is_empty() {
            check(trimmed)?;
        }
        Ok(format!("{}{prefix}", self.prefix()))
    }
}

impl Address {
    /// The path within its application and environment.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name under which it is kept.
    pub(crate) fn name(&self) -> String {
        format!("{}{}", self.space.prefix(), self.path)
    }

    /// Where schemas for it may be attached: at it, above it, and at the whole.
    pub(crate) fn ancestors(&self) -> Vec<String> {
        let root = self.space.prefix();
        let mut names = vec![root.clone()];
        names.extend(self.path.match_indices('/').map(|(at, _)| format!("{root}{}", &self.path[..at])));
        names.push(self.name());
        names
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.space.prefix(), self.path)
    }
}

/// The path in a name.
pub(crate) fn path_of(name: &str) -> &str {
    name.splitn(3, '/').nth(2).unwrap_or_default()
}

fn check(path: &str) -> Result<()> {
    let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let segments: Vec<_> = path.split('/').collect();
    let good = segments.iter().all(|s| !s.is_empty() && *s != "." && *s != ".." && s.chars().all(right));
    if good && path.len() <= MAX_PATH && segments.len() <= MAX_SEGMENTS {
        return Ok(());
    }
    let text = format!(
        "{path:?} is no key: use up to {MAX_SEGMENTS} parts of letters, digits, '.', '_' and '-' with '/' between \
         them, at most {MAX_PATH} bytes, such as orders/limits/max"
    );
    Err(Error::invalid("/key", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_strict_and_know_what_is_above_them() {
        let space = Space { app: "shop".parse().unwrap(), env: "dev".parse().unwrap() };
        let key = space.key("orders/limits/max").unwrap();
        let above = ["shop/dev/", "shop/dev/orders", "shop/dev/orders/limits", "shop/dev/orders/limits/max"];
        assert_eq!(key.ancestors(), above);
        assert_eq!(path_of(&key.name()), "orders/limits/max");
        for wrong in ["", "/a", "a/", "a//b", "../a", "a b", "a\0", &"a/".repeat(20), &"a".repeat(300)] {
            assert!(space.key(wrong).is_err(), "{wrong:?}");
        }
    }
}
