//! The `database` and `store` settings.

use std::str::FromStr;

/// Where a module or the platform keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// A file in the data directory.
    Sqlite,
    /// A PostgreSQL server.
    Postgres(String),
    /// No database.
    None,
}

impl FromStr for Database {
    /// What was expected.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "none" => Ok(Self::None),
            url if is_postgres(url) => match url.parse::<http::Uri>() {
                Ok(parsed) if parsed.host().is_some_and(|host| !host.is_empty()) => {
                    Ok(Self::Postgres(url.to_owned()))
                }
                _ => Err("a URL such as postgres://user:password@host:5432/name".into()),
            },
            _ => Err("`sqlite`, `none` or a `postgres://` URL".into()),
        }
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}
