//! What can go wrong with a store, and how the driver's errors are read.

use trellis_core::{Retry, codes};

/// A failure of the store. The text is for the log and the command line: it may name files and tables, never a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A row with this key is there already.
    #[error("conflict: {0}")]
    Conflict(String),
    /// Another constraint of a table does not hold (foreign key, not null, check).
    #[error("a constraint does not hold: {0}")]
    Constraint(String),
    /// The database cannot be opened or reached.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Too much is waiting; nothing was done, and it may be tried again.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The commit itself failed, so the write may or may not have been kept.
    #[error("the commit failed: {0}")]
    CommitFailed(String),
    /// This node may not write under the epoch that it named; nothing was changed.
    #[error("not a live member: {0}")]
    NotLive(String),
    /// A statement failed.
    #[error("a statement failed: {0}")]
    Statement(String),
    /// A migration failed, was changed after it ran, or is missing.
    #[error("{0}")]
    Migration(String),
    /// There is no row where one was asked for.
    #[error("no row found: {0}")]
    NoRow(String),
    /// A parameter that cannot be kept.
    #[error("the value cannot be stored: {0}")]
    Invalid(String),
    /// A row is not what the caller reads it as.
    #[error("a row is not as expected: {0}")]
    Decode(String),
}

impl From<Error> for trellis_core::Error {
    fn from(error: Error) -> Self {
        let public = match &error {
            Error::Conflict(_) => Self::new(codes::STORE_CONFLICT, "A row with this key is there already"),
            Error::Unavailable(_) => Self::new(codes::STORE_UNAVAILABLE, "The database does not answer"),
            Error::Busy(_) => Self::new(codes::STORE_BUSY, "The database has too much to do"),
            Error::CommitFailed(_) => Self::new(
                codes::STORE_UNAVAILABLE,
                "The database failed, and the write may or may not have been kept",
            )
            .retry(Retry::No),
            Error::NotLive(_) => Self::new(
                codes::MEMBERSHIP_CHANGED,
                "The nodes that share the database have changed meanwhile",
            ),
            Error::Migration(_) => Self::new(codes::MIGRATION_FAILED, "A migration of the database failed"),
            Error::Invalid(_) => Self::new(codes::INVALID_INPUT, "A value cannot be stored"),
            Error::Constraint(_) | Error::Statement(_) | Error::NoRow(_) | Error::Decode(_) => {
                Self::new(codes::STORE_FAILED, "A database statement failed")
            }
        };
        public.because(error)
    }
}

impl Error {
    /// Whether the write may or may not have been kept, since the commit was not answered. Whoever repeats it has to look
    /// first, or to write in such a way that twice is as good as once.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::CommitFailed(_))
    }

    /// Reads the driver's error. `sql` is the statement, which holds no values.
    pub(crate) fn of(error: &sqlx::Error, sql: &str) -> Self {
        let sqlx::Error::Database(database) = error else {
            return Self::of_connection(error, sql);
        };
        let text = format!("{}, in `{}`", database.message(), shorten(sql));
        match database.kind() {
            sqlx::error::ErrorKind::UniqueViolation => return Self::Conflict(text),
            sqlx::error::ErrorKind::ForeignKeyViolation
            | sqlx::error::ErrorKind::NotNullViolation
            | sqlx::error::ErrorKind::CheckViolation
            | sqlx::error::ErrorKind::ExclusionViolation => return Self::Constraint(text),
            _ => {}
        }
        let code = database.code().unwrap_or_default();
        if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
            Self::of_sqlite(code.parse().unwrap_or_default(), text)
        } else {
            Self::of_postgres(&code, text)
        }
    }

    fn of_connection(error: &sqlx::Error, sql: &str) -> Self {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => Self::Unavailable(error.to_string()),
            sqlx::Error::PoolClosed => Self::closed(),
            sqlx::Error::PoolTimedOut => Self::Busy("no connection became free in time".to_owned()),
            _ => Self::Statement(format!("{error}, in `{}`", shorten(sql))),
        }
    }

    fn of_sqlite(code: u32, text: String) -> Self {
        // The low byte is the primary code: https://www.sqlite.org/rescode.html
        match code & 0xff {
            5 | 6 => Self::Busy(text),
            // A plain 8 is a write through a reader; its kinds are about the file.
            8 if code == 8 => Self::Statement(format!("{text} (only `write` and `execute` may write)")),
            7 | 8 | 10 | 11 | 13 | 14 | 26 => Self::Unavailable(text),
            19 => Self::Constraint(text),
            _ => Self::Statement(text),
        }
    }

    fn of_postgres(code: &str, text: String) -> Self {
        // https://www.postgresql.org/docs/current/errcodes-appendix.html
        match code {
            "40001" | "40P01" | "55P03" | "57014" => Self::Busy(text),
            "57P01" | "57P02" | "57P03" | "3D000" | "25P03" => Self::Unavailable(text),
            _ if ["08", "28", "53", "58"].iter().any(|class| code.starts_with(class)) => {
                Self::Unavailable(text)
            }
            _ => Self::Statement(text),
        }
    }

    pub(crate) fn closed() -> Self {
        Self::Unavailable("the store is closed".to_owned())
    }

    pub(crate) fn queue_full(limit: usize) -> Self {
        Self::Busy(format!("{limit} writes are waiting already"))
    }
}

/// The first words of a statement: enough to find it in the source.
fn shorten(sql: &str) -> String {
    const LIMIT: usize = 160;
    let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code() {
        let code = |error: Error| trellis_core::Error::from(error).code().id;
        assert_eq!(code(Error::closed()), "TRL4001");
        assert_eq!(code(Error::CommitFailed(String::new())), "TRL4001");
        assert_eq!(code(Error::Statement(String::new())), "TRL4002");
        assert_eq!(code(Error::Migration(String::new())), "TRL4003");
        assert_eq!(code(Error::Conflict(String::new())), "TRL4004");
        assert_eq!(code(Error::queue_full(9)), "TRL4005");
        assert_eq!(code(Error::NotLive(String::new())), "TRL4006");
        assert_eq!(code(Error::Invalid(String::new())), "TRL2002");
    }

    #[test]
    fn a_write_that_may_have_happened_is_not_to_be_repeated() {
        let error = trellis_core::Error::from(Error::CommitFailed("disk".to_owned()));
        assert_eq!(error.retry_advice(), Retry::No);
        assert!(Error::CommitFailed(String::new()).outcome_unknown() && !Error::closed().outcome_unknown());
        assert!(!error.detail().contains("disk"), "the cause is private");
        assert!(trellis_core::error::chain(&error).contains("disk"));
    }

    #[test]
    fn codes_of_both_databases_are_read() {
        let text = String::new;
        assert!(matches!(Error::of_sqlite(261, text()), Error::Busy(_)));
        assert!(matches!(Error::of_sqlite(8, text()), Error::Statement(_)));
        assert!(matches!(Error::of_sqlite(1032, text()), Error::Unavailable(_)));
        assert!(matches!(Error::of_sqlite(1, text()), Error::Statement(_)));
        assert!(matches!(Error::of_postgres("40P01", text()), Error::Busy(_)));
        assert!(matches!(Error::of_postgres("28P01", text()), Error::Unavailable(_)));
        assert!(matches!(Error::of_postgres("42P01", text()), Error::Statement(_)));
    }

    #[test]
    fn long_statements_are_cut_between_characters() {
        assert_eq!(shorten("SELECT\n    1"), "SELECT 1");
        let cut = shorten(&"ä".repeat(500));
        assert!(cut.ends_with("...") && cut.chars().count() == 163);
    }
}
