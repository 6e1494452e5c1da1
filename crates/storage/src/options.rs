//! Where the database is, and the bounds of a store.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, FeedOptions};

/// Which database a store is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded, one file.
    Sqlite,
    /// A server.
    Postgres,
}

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// `sqlite:PATH`, `sqlite://PATH`, `postgres://...` or `postgresql://...`. May hold a password: never print it.
    pub url: String,
    /// The most connections that read, each opened when it is first needed. PostgreSQL has as many again for writes,
    /// one for ordered writes and one that listens.
    pub max_readers: u32,
    /// The most writes that wait for their turn; one more is refused as busy.
    pub max_waiting_writes: usize,
    /// The most writes that share one commit: on SQLite of all, on PostgreSQL of ordered ones.
    pub max_batch: usize,
    /// How long to wait for a lock that another process or transaction holds.
    pub busy_timeout: Duration,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long one write may hold its transaction. On PostgreSQL also the limit of one read.
    pub max_work: Duration,
    /// The bounds of the feed of changes.
    pub feed: FeedOptions,
}

/// A parsed address.
pub(crate) enum Location {
    Sqlite(PathBuf),
    Postgres,
}

impl Options {
    /// A store in this file, which is made if it is missing (its folder is not).
    pub fn sqlite(path: &Path) -> Self {
        Self::with_defaults(format!("sqlite://{}", path.display()))
    }

    /// A store at this URL.
    pub fn url(url: &str) -> Result<Self, Error> {
        let options = Self::with_defaults(url.trim().to_owned());
        if let Location::Sqlite(path) = options.location()?
            && path.as_os_str().to_string_lossy().contains('?')
        {
            return Err(Error::Unavailable(format!(
                "`{url}`: options after `?` are not supported for SQLite; give only the path"
            )));
        }
        Ok(options)
    }

    fn with_defaults(url: String) -> Self {
        Self {
            url,
            max_readers: 4,
            max_waiting_writes: 1024,
            max_batch: 256,
            busy_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(5),
            max_work: Duration::from_secs(30),
            feed: FeedOptions::default(),
        }
    }

    pub(crate) fn location(&self) -> Result<Location, Error> {
        if self.url.starts_with("postgres://") || self.url.starts_with("postgresql://") {
            return Ok(Location::Postgres);
        }
        let path = self.url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
        match path {
            Some(":memory:") => Err(Error::Unavailable(
                "a SQLite database in memory cannot be shared by several connections; give the path of a file".to_owned(),
            )),
            Some("") => Err(Error::Unavailable("the SQLite URL has no path; write sqlite:PATH".to_owned())),
            Some(path) => Ok(Location::Sqlite(PathBuf::from(path))),
            None => Err(Error::Unavailable(format!(
                "`{}` is no database URL; write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE",
                self.safe_url()
            ))),
        }
    }

    /// The URL without password and parameters.
    pub(crate) fn safe_url(&self) -> String {
        let Some((scheme, rest)) = self.url.split_once("://").filter(|(scheme, _)| *scheme != "sqlite")
        else {
            return self.url.clone();
        };
        let rest = rest.split('?').next().unwrap_or_default();
        match rest.rsplit_once('@') {
            // A password may hold anything, so only what is before the first colon is surely a name.
            Some((credentials, place)) => {
                let user = credentials.split(':').next().unwrap_or_default();
                format!("{scheme}://{user}@{place}")
            }
            None => format!("{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("url", &self.safe_url())
            .field("max_readers", &self.max_readers)
            .field("max_waiting_writes", &self.max_waiting_writes)
            .field("max_batch", &self.max_batch)
            .field("busy_timeout", &self.busy_timeout)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("max_work", &self.max_work)
            .field("feed", &self.feed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(url: &str) -> PathBuf {
        match Options::url(url).unwrap().location().unwrap() {
            Location::Sqlite(path) => path,
            Location::Postgres => panic!("{url} is SQLite"),
        }
    }

    #[test]
    fn urls_are_read() {
        assert_eq!(path("sqlite:data/shop.db"), Path::new("data/shop.db"));
        assert_eq!(path("sqlite://data/shop.db"), Path::new("data/shop.db"));
        assert_eq!(path("sqlite:///var/shop.db"), Path::new("/var/shop.db"));
        assert!(matches!(Options::url("postgres://h/d").unwrap().location(), Ok(Location::Postgres)));
        assert!(matches!(Options::url("postgresql://h/d").unwrap().location(), Ok(Location::Postgres)));
    }

    #[test]
    fn odd_paths_are_kept_as_they_are() {
        let odd = Path::new("/tmp/a b%20c?.db");
        let Ok(Location::Sqlite(path)) = Options::sqlite(odd).location() else { panic!("SQLite") };
        assert_eq!(path, odd);
    }

    #[test]
    fn wrong_urls_say_what_to_write() {
        for (url, hint) in [
            ("mysql://root:secret@h/d", "postgres://USER"),
            ("shop.db", "sqlite:PATH"),
            ("sqlite:", "no path"),
            ("sqlite::memory:", "path of a file"),
            ("sqlite:shop.db?mode=rwc", "only the path"),
        ] {
            let error = Options::url(url).unwrap_err().to_string();
            assert!(error.contains(hint), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn passwords_are_never_shown() {
        for url in [
            "postgres://ada:secret@db:5432/shop",
            "postgres://ada:sec/secret@db/shop",
            "postgres://ada@db/shop?password=secret",
            "postgres://ada:p@secret@db/shop",
        ] {
            let shown = format!("{:?}", Options::url(url).unwrap());
            assert!(!shown.contains("secret"), "{shown}");
            assert!(shown.contains("ada@db"), "{shown}");
        }
    }
}
