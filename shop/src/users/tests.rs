//! The users' rules and table, on both databases.

use futures_util::future::join_all;
use trellis_sdk::core::codes;
use trellis_sdk::database::Store;
use trellis_sdk::runtime::WallClock;

use super::model::UserInput;
use super::repository::Repository;
use super::service::Users;
use crate::codes::EMAIL_TAKEN;
use crate::paging::PageQuery;
use crate::testing::on_both_databases;

on_both_databases! {
    &[("users", super::MIGRATIONS)];
    a_user_can_be_made_changed_and_removed, an_address_belongs_to_one_user, of_many_with_one_address_one_wins,
    pages_follow_each_other, demo_users_come_once,
}

fn users(store: Store) -> Users {
    Users::new(Repository::new(store), WallClock::fixed(1))
}

fn input(name: &str, email: &str) -> UserInput {
    UserInput { name: name.into(), email: email.into() }
}

fn page(limit: u32, cursor: Option<String>) -> crate::paging::Window {
    PageQuery { limit: Some(limit), cursor }.window().unwrap()
}

async fn a_user_can_be_made_changed_and_removed(store: Store) {
    let users = users(store);
    let alice = users.create(input(" Alice ", "alice@example.com")).await.unwrap();
    assert_eq!((alice.id, alice.name.as_str()), (1, "Alice"));
    assert_eq!(users.get(1).await.unwrap(), alice);

    let renamed = users.replace(1, input("Alicia", "ALICE@example.com")).await.unwrap();
    assert_eq!(
        (renamed.id, renamed.name.as_str(), renamed.email.as_str()),
        (1, "Alicia", "ALICE@example.com")
    );
    assert_eq!(users.replace(1, input("", "alice@example.com")).await.unwrap_err().status(), 422);

    users.delete(1).await.unwrap();
    for gone in [users.get(1).await.unwrap_err(), users.delete(1).await.unwrap_err()] {
        assert_eq!(gone.code(), codes::NOT_FOUND);
    }
    assert_eq!(users.replace(1, input("A", "a@b.c")).await.unwrap_err().code(), codes::NOT_FOUND);
    let next = users.create(input("Bob", "bob@example.com")).await.unwrap();
    assert_eq!(next.id, 2, "an id is not used again");
}

async fn an_address_belongs_to_one_user(store: Store) {
    let users = users(store);
    users.create(input("Alice", "alice@example.com")).await.unwrap();
    users.create(input("Bob", "bob@example.com")).await.unwrap();
    let again = users.create(input("Eve", "Alice@Example.com")).await.unwrap_err();
    assert_eq!(again.code(), EMAIL_TAKEN);
    let moved = users.replace(2, input("Bob", "alice@example.com")).await.unwrap_err();
    assert_eq!(moved.code(), EMAIL_TAKEN);
    assert_eq!(users.get(2).await.unwrap().email, "bob@example.com");
}

async fn of_many_with_one_address_one_wins(store: Store) {
    let users = users(store);
    let made = join_all((0..20).map(|i| users.create(input(&format!("User {i}"), "same@example.com")))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert!(made.iter().filter_map(|made| made.as_ref().err()).all(|error| error.code() == EMAIL_TAKEN));
}

async fn pages_follow_each_other(store: Store) {
    let users = users(store);
    for i in 0..5 {
        users.create(input("U", &format!("u{i}@example.com"))).await.unwrap();
    }
    let first = users.list(&page(2, None)).await.unwrap();
    let second = users.list(&page(2, first.next)).await.unwrap();
    let third = users.list(&page(2, second.next.clone())).await.unwrap();
    let ids: Vec<i64> =
        [first.items, second.items, third.items].iter().flatten().map(|user| user.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    assert_eq!(third.next, None);
}

async fn demo_users_come_once(store: Store) {
    let users = users(store);
    join_all((0..4).map(|_| users.seed())).await.into_iter().for_each(|seeded| seeded.unwrap());
    let listed = users.list(&page(10, None)).await.unwrap().items;
    let names: Vec<_> = listed.iter().map(|user| (user.id, user.name.as_str())).collect();
    assert_eq!(names, [(1, "Alice"), (2, "Bob")]);

    users.delete(1).await.unwrap();
    users.delete(2).await.unwrap();
    users.seed().await.unwrap();
    assert!(users.list(&page(10, None)).await.unwrap().items.is_empty(), "what was removed stays removed");
}
