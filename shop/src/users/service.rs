//! The rules about users.

use trellis_sdk::core::error::Result;
use trellis_sdk::core::{Error, codes};
use trellis_sdk::runtime::WallClock;

use super::model::{User, UserInput};
use super::repository::{Repository, Unwritten};
use crate::codes::EMAIL_TAKEN;
use crate::paging::{Slice, Window};

/// The module's service layer.
#[derive(Clone)]
pub(super) struct Users {
    repository: Repository,
    clock: WallClock,
}

impl Users {
    pub(super) fn new(repository: Repository, clock: WallClock) -> Self {
        Self { repository, clock }
    }

    pub(super) async fn list(&self, window: &Window) -> Result<Slice<User>> {
        let rows = self.repository.list(window).await?;
        Ok(window.slice(rows, |user| user.id.to_string()))
    }

    pub(super) async fn get(&self, id: i64) -> Result<User> {
        self.repository.get(id).await?.ok_or_else(|| missing(id))
    }

    pub(super) async fn create(&self, input: UserInput) -> Result<User> {
        let written = self.repository.insert(input.checked()?, self.clock.unix_millis()).await?;
        written.map_err(|why| refusal(0, &why))
    }

    pub(super) async fn replace(&self, id: i64, input: UserInput) -> Result<User> {
        let written = self.repository.replace(id, input.checked()?).await?;
        written.map_err(|why| refusal(id, &why))
    }

    /// Removes the user. The user's orders stay: they are the shop's books.
    pub(super) async fn delete(&self, id: i64) -> Result<()> {
        if self.repository.delete(id).await? { Ok(()) } else { Err(missing(id)) }
    }

    /// Fills a new database with Alice, who becomes user 1, and Bob, user 2.
    pub(super) async fn seed(&self) -> Result<()> {
        let user = |name: &str, email: &str| UserInput { name: name.into(), email: email.into() };
        let users = vec![user("Alice", "alice@example.com"), user("Bob", "bob@example.com")];
        self.repository.seed(users, self.clock.unix_millis()).await
    }
}

fn refusal(id: i64, why: &Unwritten) -> Error {
    match why {
        Unwritten::Missing => missing(id),
        Unwritten::EmailTaken => Error::new(EMAIL_TAKEN, "another user has this email address"),
    }
}

fn missing(id: i64) -> Error {
    Error::new(codes::NOT_FOUND, format!("there is no user {id}"))
}
