//! Sets of request methods.

use std::fmt;

use http::Method;

/// The methods a route may name. CONNECT is not carried at all.
const KNOWN: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
];

/// Some of the known methods, or all methods there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MethodSet(u16);

/// Stands for the methods that have no bit of their own.
const OTHERS: u16 = 1 << KNOWN.len();

impl MethodSet {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(OTHERS | (OTHERS - 1));
    /// What can be asked of an aggregation.
    pub(crate) const READ: Self = Self(0b11);

    /// Reads a name from the configuration.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let upper = name.to_ascii_uppercase();
        match KNOWN.iter().position(|method| method.as_str() == upper) {
            Some(_) if name != upper => Err(format!("methods are written in capitals: {upper:?}")),
            // HEAD asks the same question as GET.
            Some(0) => Ok(Self::READ),
            Some(index) => Ok(Self(1 << index)),
            None => Err(format!("{name:?} is not a method that is carried: use {}", Self(OTHERS - 1))),
        }
    }

    /// Just this one.
    pub(crate) fn of(method: &Method) -> Self {
        Self(KNOWN.iter().position(|known| known == method).map_or(OTHERS, |index| 1 << index))
    }

    pub(crate) fn contains(self, method: &Method) -> bool {
        self.covers(Self::of(method))
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

/// As in an `Allow` header.
impl fmt::Display for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for method in KNOWN.iter().filter(|method| self.contains(method)) {
            write!(f, "{comma}{method}")?;
            comma = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_brings_head() {
        let get = MethodSet::named("GET").unwrap();
        assert!(get.contains(&Method::HEAD) && !get.contains(&Method::POST));
        assert_eq!(get.union(MethodSet::named("POST").unwrap()).to_string(), "GET, HEAD, POST");
    }

    #[test]
    fn a_method_nobody_knows_is_only_in_all() {
        let purge = Method::from_bytes(b"PURGE").unwrap();
        assert!(MethodSet::ALL.contains(&purge) && !MethodSet::READ.contains(&purge));
        assert!(MethodSet::ALL.covers(MethodSet::READ) && !MethodSet::READ.covers(MethodSet::ALL));
        assert!(MethodSet::named("get").unwrap_err().contains("GET"));
        assert!(MethodSet::named("CONNECT").is_err());
    }
}
