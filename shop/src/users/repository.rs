//! The users' table.

use trellis_sdk::core::{self, error::Result};
use trellis_sdk::database::{Error, Store, params};

use super::model::{User, UserInput};
use crate::paging::Window;

/// Reads and writes users.
#[derive(Clone)]
pub(super) struct Repository(Store);

/// Why a user cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unwritten {
    /// There is no such user.
    Missing,
    /// Another user has the address.
    EmailTaken,
}

impl Repository {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Users after the window's start, by id.
    pub(super) async fn list(&self, window: &Window) -> Result<Vec<User>> {
        const SQL: &str = "SELECT id, name, email FROM users_users WHERE id > $1 ORDER BY id LIMIT $2";
        Ok(self.0.fetch_all(SQL, params![window.after_id()?, window.rows()]).await?)
    }

    /// One user.
    pub(super) async fn get(&self, id: i64) -> Result<Option<User>> {
        const SQL: &str = "SELECT id, name, email FROM users_users WHERE id = $1";
        Ok(self.0.fetch_optional(SQL, params![id]).await?)
    }

    /// A new user.
    pub(super) async fn insert(&self, input: UserInput, now_ms: i64) -> Result<Result<User, Unwritten>> {
        const SQL: &str =
            "INSERT INTO users_users (name, email, email_key, created_ms) VALUES ($1, $2, $3, $4)
            ON CONFLICT (email_key) DO NOTHING RETURNING id, name, email";
        let row = params![&input.name, &input.email, input.email_key(), now_ms];
        let written =
            self.0.write(move |tx| Box::pin(async move { tx.fetch_optional(SQL, row).await })).await;
        Ok(written.map_err(core::Error::from)?.ok_or(Unwritten::EmailTaken))
    }

    /// Puts `input` in place of what is known of the user.
    pub(super) async fn replace(&self, id: i64, input: UserInput) -> Result<Result<User, Unwritten>> {
        const SQL: &str = "UPDATE users_users SET name = $1, email = $2, email_key = $3 WHERE id = $4
            RETURNING id, name, email";
        let row = params![&input.name, &input.email, input.email_key(), id];
        let written =
            self.0.write(move |tx| Box::pin(async move { tx.fetch_optional(SQL, row).await })).await;
        match written {
            Ok(user) => Ok(user.ok_or(Unwritten::Missing)),
            Err(Error::Conflict(_)) => Ok(Err(Unwritten::EmailTaken)),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the user; whether there was one.
    pub(super) async fn delete(&self, id: i64) -> Result<bool> {
        Ok(self.0.execute("DELETE FROM users_users WHERE id = $1", params![id]).await? > 0)
    }

    /// Puts `users` into an empty table, once in the life of the database.
    pub(super) async fn seed(&self, users: Vec<UserInput>, now_ms: i64) -> Result<()> {
        const ONCE: &str = "INSERT INTO users_demo (id, done_ms) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
        const INSERT: &str =
            "INSERT INTO users_users (name, email, email_key, created_ms) VALUES ($1, $2, $3, $4)";
        self.0
            .write(move |tx| {
                Box::pin(async move {
                    let first = tx.execute(ONCE, params![now_ms]).await? > 0;
                    let present: i64 = tx.fetch_one("SELECT COUNT(*) FROM users_users", params![]).await?;
                    if first && present == 0 {
                        for user in users {
                            tx.execute(INSERT, params![&user.name, &user.email, user.email_key(), now_ms])
                                .await?;
                        }
                    }
                    Ok(())
                })
            })
            .await
    }
}
