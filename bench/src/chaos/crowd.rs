//! Many clients, started and stopped together, and a record of everything they did.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::clients::{Client, Done, Tally};
use crate::audit::Attempt;
use crate::money::Cents;
use crate::shop::{Shop, Stock};

/// The clients, and what they did so far.
pub(super) struct Crowd {
    /// One for each client, so that every order in the end can be traced to the client that asked for it.
    users: Vec<i64>,
    articles: Vec<Stock>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) tally: Tally,
}

/// Clients at work.
pub(super) struct Ordering {
    clients: JoinSet<Done>,
    close: watch::Sender<Option<Instant>>,
}

impl Crowd {
    /// Makes the users and puts what they order on sale.
    pub(super) async fn gather(gateway: &str, clients: usize) -> Result<Self> {
        let mut shop = Shop::new(gateway, Duration::from_secs(30));
        let users = shop.create_users(clients).await?;
        let articles = articles();
        for article in &articles {
            shop.put_stock(article).await?;
        }
        Ok(Self { users, articles, attempts: Vec::new(), tally: Tally::default() })
    }

    /// Sends all clients to the shop behind `gateway`.
    pub(super) fn order(&self, gateway: &str) -> Ordering {
        let (close, closing) = watch::channel(None);
        let mut clients = JoinSet::new();
        for user in &self.users {
            clients.spawn(Client::new(gateway, *user, self.articles.clone()).run(closing.clone()));
        }
        Ordering { clients, close }
    }

    /// Adds what clients did to the record.
    pub(super) fn note(&mut self, done: Vec<Done>) {
        for client in done {
            self.tally.add(&client.tally);
            self.attempts.extend(client.attempts);
        }
    }
}

impl Ordering {
    /// No new orders; those under way may be sent again for `patience`.
    pub(super) async fn close(mut self, patience: Duration) -> Result<Vec<Done>> {
        self.close.send_replace(Some(Instant::now() + patience));
        let mut all = Vec::with_capacity(self.clients.len());
        while let Some(done) = self.clients.join_next().await {
            all.push(done.context("a client failed")?);
        }
        Ok(all)
    }
}

/// What is ordered: enough for any run, and an article that runs out early, so that orders are refused and undone.
fn articles() -> Vec<Stock> {
    let article = |number: i64, available| Stock {
        sku: format!("chaos-{number}"),
        available,
        price: Cents(1000 + number),
    };
    let mut all: Vec<Stock> = (1..=5).map(|number| article(number, 1_000_000)).collect();
    all.push(article(6, 100));
    all
}
