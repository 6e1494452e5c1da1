//! The rules about stock: a reservation takes all its lines or none, and is made and released at most once, in
//! whatever order and however often the requests arrive.

use trellis_sdk::core::error::Result;
use trellis_sdk::core::{Error, codes};
use trellis_sdk::database::Tx;
use trellis_sdk::runtime::WallClock;
use uuid::Uuid;

use super::model::{Item, ItemInput, Line, Reservation, ReservationStatus, ReserveInput, ReservedLine};
use super::repository::{self, Repository, Taken};
use crate::codes::{OUT_OF_STOCK, RESERVATION_RELEASED, UNKNOWN_SKU};
use crate::demo;
use crate::money::Money;
use crate::paging::{Slice, Window};

/// The module's service layer.
#[derive(Clone)]
pub(crate) struct Inventory {
    repository: Repository,
    clock: WallClock,
}

/// A reservation, and whether this request made it.
pub(super) struct Reserved {
    pub(super) reservation: Reservation,
    pub(super) is_new: bool,
}

impl Inventory {
    pub(super) fn new(repository: Repository, clock: WallClock) -> Self {
        Self { repository, clock }
    }

    pub(super) async fn list(&self, window: &Window) -> Result<Slice<Item>> {
        let rows = self.repository.list(window).await?;
        Ok(window.slice(rows, |item| item.sku.clone()))
    }

    pub(super) async fn get(&self, sku: &str) -> Result<Item> {
        let item = self.repository.get(sku).await?;
        item.ok_or_else(|| Error::new(codes::NOT_FOUND, "there is no article with this sku"))
    }

    pub(super) async fn put(&self, sku: &str, input: ItemInput) -> Result<Item> {
        let item = input.checked(sku)?;
        self.repository.put(&item).await?;
        Ok(item)
    }

    pub(super) async fn reservation(&self, id: Uuid) -> Result<Reservation> {
        let reservation = self.repository.reservation(id).await?;
        reservation.ok_or_else(|| Error::new(codes::NOT_FOUND, "there is no reservation with this id"))
    }

    /// Takes all lines from stock, or none. The same request again gets the same answer.
    pub(super) async fn reserve(&self, input: ReserveInput) -> Result<Reserved> {
        let ReserveInput { id, items } = input.checked()?;
        let now_ms = self.clock.unix_millis();
        let store = self.repository.store();
        store
            .write(move |tx| {
                Box::pin(async move {
                    if !repository::claim(tx, id, ReservationStatus::Held, now_ms).await? {
                        let reservation = repeated(repository::load(tx, id).await?, &items)?;
                        return Ok(Reserved { reservation, is_new: false });
                    }
                    let reservation = take_all(tx, id, &items).await?;
                    Ok(Reserved { reservation, is_new: true })
                })
            })
            .await
    }

    /// Gives the stock back. An unknown id is remembered as released, so that the reservation cannot be made later:
    /// its request may still be on its way, sent by someone who has given up.
    pub(super) async fn release(&self, id: Uuid) -> Result<Reservation> {
        let now_ms = self.clock.unix_millis();
        let store = self.repository.store();
        store
            .write(move |tx| {
                Box::pin(async move {
                    let unknown = repository::claim(tx, id, ReservationStatus::Released, now_ms).await?;
                    if !unknown && repository::unhold(tx, id).await? {
                        let mut lines = repository::load(tx, id).await?.items;
                        lines.sort_by(|a, b| a.sku.cmp(&b.sku));
                        for line in &lines {
                            repository::give_back(tx, line).await?;
                        }
                    }
                    repository::load(tx, id).await
                })
            })
            .await
    }

    /// Fills a new database with articles, one of which Alice has bought.
    pub(super) async fn seed(&self) -> Result<()> {
        let money = |minor| Money::from_minor(minor).unwrap_or_default();
        let item = |sku: &str, available, minor| Item { sku: sku.into(), available, price: money(minor) };
        let items = vec![
            item(demo::FIRST_SKU, 5000, demo::FIRST_AMOUNT),
            item(demo::SECOND_SKU, 2000, demo::SECOND_AMOUNT),
            item("mouse", 10_000, 2_550),
        ];
        let price = money(demo::FIRST_AMOUNT);
        let bought = ReservedLine { sku: demo::FIRST_SKU.into(), quantity: 1, price };
        let held = Reservation {
            id: demo::FIRST_ATTEMPT,
            status: ReservationStatus::Held,
            items: vec![bought],
            total: price,
        };
        self.repository.seed(items, held, self.clock.unix_millis()).await
    }
}

/// Takes the lines in the order of their skus, so that no two transactions wait for each other.
async fn take_all(tx: &mut Tx, id: Uuid, lines: &[Line]) -> Result<Reservation> {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&index| &lines[index].sku);
    let mut prices = vec![Money::default(); lines.len()];
    for index in order {
        let line = &lines[index];
        prices[index] = match repository::take(tx, line).await? {
            Taken::At(price) => price,
            Taken::Short { available } => return Err(out_of_stock(line, available)),
            Taken::Unknown => return Err(unknown_sku(&line.sku)),
        };
    }
    let items: Vec<ReservedLine> = lines
        .iter()
        .zip(prices)
        .map(|(line, price)| ReservedLine { sku: line.sku.clone(), quantity: line.quantity, price })
        .collect();
    let total =
        total(&items).ok_or_else(|| Error::new(codes::INVALID_INPUT, "the total is too large an amount"))?;
    repository::record(tx, id, &items, total).await?;
    Ok(Reservation { id, status: ReservationStatus::Held, items, total })
}

/// The answer to a request for a reservation that is there.
fn repeated(reservation: Reservation, lines: &[Line]) -> Result<Reservation> {
    if reservation.status == ReservationStatus::Released {
        return Err(Error::new(
            RESERVATION_RELEASED,
            "this reservation was released and cannot be made again",
        ));
    }
    let same = reservation.items.len() == lines.len()
        && reservation
            .items
            .iter()
            .zip(lines)
            .all(|(held, line)| held.sku == line.sku && held.quantity == line.quantity);
    if same {
        Ok(reservation)
    } else {
        Err(Error::new(codes::IDEMPOTENCY_MISMATCH, "this reservation id was used for other items"))
    }
}

fn total(lines: &[ReservedLine]) -> Option<Money> {
    lines.iter().try_fold(Money::default(), |sum, line| sum.plus(line.price.times(line.quantity)?))
}

fn out_of_stock(line: &Line, available: i64) -> Error {
    let Line { sku, quantity } = line;
    Error::new(OUT_OF_STOCK, format!("{quantity} of {sku} were asked for and {available} are left"))
        .with("sku", sku.as_str())
        .with("available", available)
}

fn unknown_sku(sku: &str) -> Error {
    Error::new(UNKNOWN_SKU, "an article with this sku is not sold").with("sku", sku)
}
