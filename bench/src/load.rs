//! A closed loop of clients that place orders: each sends the next one when the last is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::shop::{Item, NewOrder, Shop, Stock};

/// Longest wait for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(35);
/// The histogram's ceiling, in microseconds.
const MAX_MICROS: u64 = 60_000_000;

/// What the clients saw between two instants.
pub struct Load {
    /// Answered with 201.
    pub orders: u64,
    /// Every other answer, by status or by what broke.
    pub others: BTreeMap<String, u64>,
    micros: Histogram<u64>,
}

/// How long an answer took, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Half were faster.
    pub p50_ms: f64,
    /// Nine in ten were faster.
    pub p90_ms: f64,
    /// 99 in a hundred were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// Clients at work; they stop by themselves at the end they were given.
pub struct Clients(JoinSet<Result<Load>>);

impl Clients {
    /// Starts one client for each user. Only what is sent after `begin` and answered before `end` is counted.
    pub fn start(gateway: &str, users: &[i64], stock: &[Stock], begin: Instant, end: Instant) -> Self {
        let mut clients = JoinSet::new();
        for user in users {
            clients.spawn(client(Shop::new(gateway, ANSWER_LIMIT), *user, stock.to_vec(), begin, end));
        }
        Self(clients)
    }

    /// What all of them saw.
    pub async fn finish(mut self) -> Result<Load> {
        let mut all = Load::new()?;
        while let Some(done) = self.0.join_next().await {
            let load = done.context("a client failed")??;
            all.orders += load.orders;
            all.micros.add(&load.micros)?;
            for (answer, count) in load.others {
                *all.others.entry(answer).or_default() += count;
            }
        }
        Ok(all)
    }
}

async fn client(
    mut shop: Shop,
    user_id: i64,
    stock: Vec<Stock>,
    begin: Instant,
    end: Instant,
) -> Result<Load> {
    let mut load = Load::new()?;
    let mut random = Rng::with_seed(user_id.unsigned_abs());
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(load);
        }
        let sku = stock[random.usize(..stock.len())].sku.clone();
        let order = NewOrder { user_id, items: vec![Item { sku, quantity: 1 }], payment_token: "tok_ok" };
        let answer = shop.place(&order, &Uuid::now_v7().to_string()).await;
        let answered = Instant::now();
        if sent < begin || answered > end {
            continue;
        }
        match answer {
            Ok(answer) if answer.status == http::StatusCode::CREATED => {
                load.orders += 1;
                load.micros.saturating_record((answered - sent).as_micros() as u64);
            }
            Ok(answer) => *load.others.entry(answer.status.to_string()).or_default() += 1,
            Err(error) => *load.others.entry(error.to_string()).or_default() += 1,
        }
    }
}

impl Load {
    fn new() -> Result<Self> {
        let micros = Histogram::new_with_max(MAX_MICROS, 3).context("cannot make a histogram")?;
        Ok(Self { orders: 0, others: BTreeMap::new(), micros })
    }

    /// How long the counted orders took.
    pub fn latency(&self) -> Latency {
        let ms = |micros: u64| micros as f64 / 1000.0;
        Latency {
            p50_ms: ms(self.micros.value_at_quantile(0.5)),
            p90_ms: ms(self.micros.value_at_quantile(0.9)),
            p99_ms: ms(self.micros.value_at_quantile(0.99)),
            max_ms: ms(self.micros.max()),
        }
    }
}
