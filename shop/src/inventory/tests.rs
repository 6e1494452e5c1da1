//! The inventory's rules and tables, on both databases.

use futures_util::future::join_all;
use trellis_sdk::core::error::Result;
use trellis_sdk::core::{Error, codes};
use trellis_sdk::database::Store;
use trellis_sdk::runtime::WallClock;
use uuid::Uuid;

use super::model::{ItemInput, Line, Reservation, ReservationStatus, ReserveInput};
use super::repository::Repository;
use super::service::Inventory;
use crate::codes::{OUT_OF_STOCK, RESERVATION_RELEASED, UNKNOWN_SKU};
use crate::demo;
use crate::money::Money;
use crate::paging::PageQuery;
use crate::testing::{Tables, on_both_databases};

/// For tests of other modules.
pub(crate) const TABLES: Tables = ("inventory", super::MIGRATIONS);

on_both_databases! {
    &[TABLES];
    a_reservation_takes_all_or_nothing, the_same_request_gets_the_same_answer, what_is_released_is_back_once,
    a_release_before_its_reservation_wins, no_piece_is_sold_twice, releases_and_reservations_in_any_order_keep_the_stock,
    articles_can_be_listed_and_replaced, demo_stock_comes_once,
}

/// An inventory that other modules' tests can use.
#[derive(Clone)]
pub(crate) struct Shelf(Inventory);

impl Shelf {
    pub(crate) fn new(store: Store) -> Self {
        Self(Inventory::new(Repository::new(store), WallClock::fixed(1)))
    }

    pub(crate) async fn put(&self, sku: &str, available: i64, minor: i64) {
        let price = Money::from_minor(minor).unwrap();
        self.0.put(sku, ItemInput { available, price }).await.unwrap();
    }

    pub(crate) async fn available(&self, sku: &str) -> i64 {
        self.0.get(sku).await.unwrap().available
    }

    /// The prices, line by line, and the total.
    pub(crate) async fn reserve(&self, id: Uuid, lines: &[(&str, i64)]) -> Result<(Vec<Money>, Money)> {
        let items =
            lines.iter().map(|(sku, quantity)| Line { sku: (*sku).into(), quantity: *quantity }).collect();
        let reservation = self.0.reserve(ReserveInput { id, items }).await?.reservation;
        Ok((reservation.items.iter().map(|line| line.price).collect(), reservation.total))
    }

    pub(crate) async fn release(&self, id: Uuid) -> Result<()> {
        self.0.release(id).await.map(drop)
    }

    pub(crate) async fn is_held(&self, id: Uuid) -> bool {
        matches!(self.reservation(id).await, Ok(Reservation { status: ReservationStatus::Held, .. }))
    }

    async fn reservation(&self, id: Uuid) -> Result<Reservation> {
        self.0.reservation(id).await
    }
}

fn code(result: Result<(Vec<Money>, Money)>) -> &'static str {
    result.map_err(|error: Error| error.code().id).unwrap_err()
}

async fn a_reservation_takes_all_or_nothing(store: Store) {
    let shelf = Shelf::new(store);
    shelf.put("a", 5, 100).await;
    shelf.put("b", 1, 250).await;
    let id = Uuid::now_v7();
    let (prices, total) = shelf.reserve(id, &[("b", 1), ("a", 3)]).await.unwrap();
    assert_eq!(
        prices.iter().map(|p| p.minor()).collect::<Vec<_>>(),
        [250, 100],
        "in the order of the request"
    );
    assert_eq!(total.minor(), 550);

    let error = shelf.reserve(Uuid::now_v7(), &[("a", 1), ("b", 1)]).await.unwrap_err();
    assert_eq!((error.code(), &error.extensions()["sku"]), (OUT_OF_STOCK, &"b".into()));
    let error = shelf.reserve(Uuid::now_v7(), &[("a", 1), ("zzz", 1)]).await.unwrap_err();
    assert_eq!((error.code(), &error.extensions()["sku"]), (UNKNOWN_SKU, &"zzz".into()));
    assert_eq!((shelf.available("a").await, shelf.available("b").await), (2, 0));
}

async fn the_same_request_gets_the_same_answer(store: Store) {
    let shelf = Shelf::new(store);
    shelf.put("a", 5, 100).await;
    let id = Uuid::now_v7();
    let first = shelf.reserve(id, &[("a", 2)]).await.unwrap();
    shelf.put("a", 3, 999).await;
    let at_once = join_all((0..10).map(|_| shelf.reserve(id, &[("a", 2)]))).await;
    assert!(at_once.into_iter().all(|again| again.unwrap() == first), "at the price it had then");
    assert_eq!(shelf.available("a").await, 3);
    assert_eq!(code(shelf.reserve(id, &[("a", 1)]).await), codes::IDEMPOTENCY_MISMATCH.id);
}

async fn what_is_released_is_back_once(store: Store) {
    let shelf = Shelf::new(store);
    shelf.put("a", 5, 100).await;
    let id = Uuid::now_v7();
    shelf.reserve(id, &[("a", 2)]).await.unwrap();
    join_all((0..10).map(|_| shelf.release(id))).await.into_iter().for_each(|released| released.unwrap());
    assert_eq!(shelf.available("a").await, 5);
    let reservation = shelf.reservation(id).await.unwrap();
    assert_eq!((reservation.status, reservation.items.len()), (ReservationStatus::Released, 1));
    assert_eq!(code(shelf.reserve(id, &[("a", 2)]).await), RESERVATION_RELEASED.id);
}

async fn a_release_before_its_reservation_wins(store: Store) {
    let shelf = Shelf::new(store);
    shelf.put("a", 5, 100).await;
    let id = Uuid::now_v7();
    shelf.release(id).await.unwrap();
    assert_eq!(code(shelf.reserve(id, &[("a", 2)]).await), RESERVATION_RELEASED.id);
    assert_eq!(shelf.available("a").await, 5);
    assert_eq!(shelf.reservation(Uuid::now_v7()).await.unwrap_err().code(), codes::NOT_FOUND);
}

async fn no_piece_is_sold_twice(store: Store) {
    let shelf = Shelf::new(store);
    shelf.put("a", 10, 100).await;
    shelf.put("b", 10, 100).await;
    // Half of them name the articles in the other order.
    let wants = (0..30).map(|i| {
        let lines = if i % 2 == 0 { [("a", 1), ("b", 1)] } else { [("b", 1), ("a", 1)] };
        let shelf = shelf.clone();
        async move { shelf.reserve(Uuid::now_v7(), &lines).await }
    });
    let got = join_all(wants).await;
    assert_eq!(got.iter().filter(|got| got.is_ok()).count(), 10);
    assert!(got.iter().filter_map(|got| got.as_ref().err()).all(|error| error.code() == OUT_OF_STOCK));
    assert_eq!((shelf.available("a").await, shelf.available("b").await), (0, 0));
}

async fn releases_and_reservations_in_any_order_keep_the_stock(store: Store) {
    let shelf = Shelf::new(store);
    shelf.put("a", 100, 100).await;
    let ids: Vec<Uuid> = (0..10).map(|_| Uuid::now_v7()).collect();
    let both =
        ids.iter().map(|id| async { tokio::join!(shelf.reserve(*id, &[("a", 1)]), shelf.release(*id)) });
    for (_, released) in join_all(both).await {
        released.unwrap();
    }
    assert_eq!(shelf.available("a").await, 100);
}

async fn articles_can_be_listed_and_replaced(store: Store) {
    let shelf = Shelf::new(store);
    for sku in ["c", "a", "b"] {
        shelf.put(sku, 1, 100).await;
    }
    shelf.put("b", 7, 200).await;
    let window = PageQuery { limit: Some(2), cursor: None }.window().unwrap();
    let first = shelf.0.list(&window).await.unwrap();
    let window = PageQuery { limit: Some(2), cursor: first.next }.window().unwrap();
    let rest = shelf.0.list(&window).await.unwrap();
    assert_eq!(rest.next, None);
    let listed: Vec<_> = first
        .items
        .iter()
        .chain(&rest.items)
        .map(|item| (item.sku.as_str(), item.available, item.price.minor()))
        .collect();
    assert_eq!(listed, [("a", 1, 100), ("b", 7, 200), ("c", 1, 100)]);
    assert_eq!(shelf.0.get("d").await.unwrap_err().code(), codes::NOT_FOUND);
}

async fn demo_stock_comes_once(store: Store) {
    let shelf = Shelf::new(store);
    join_all((0..4).map(|_| shelf.0.seed())).await.into_iter().for_each(|seeded| seeded.unwrap());
    assert!(shelf.is_held(demo::FIRST_ATTEMPT).await);
    assert_eq!(shelf.available(demo::FIRST_SKU).await, 5000);
    shelf.put(demo::FIRST_SKU, 1, 1).await;
    shelf.0.seed().await.unwrap();
    assert_eq!(shelf.available(demo::FIRST_SKU).await, 1, "what was changed stays changed");
}
