//! The shop's HTTP API as a client behind the gateway sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::header::LINK;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::{Answer, Client, NoAnswer};
use crate::money::Cents;

/// The header that makes an order safe to send again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Most pages of a list that are read.
const MAX_PAGES: usize = 10_000;

/// What may be ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// The article.
    pub sku: String,
    /// Pieces that can still be ordered.
    pub available: i64,
    /// For one piece.
    pub price: Cents,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// The article.
    pub sku: String,
    /// Pieces.
    pub quantity: i64,
}

/// An order that a client asks for.
#[derive(Debug, Clone, Serialize)]
pub struct NewOrder {
    /// Who orders.
    pub user_id: i64,
    /// What.
    pub items: Vec<Item>,
    /// `tok_ok` pays; `tok_declined` does not.
    pub payment_token: &'static str,
}

/// An order as the shop tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: i64,
    /// Who ordered.
    pub user_id: i64,
    /// What it costs.
    pub amount: Cents,
    /// `completed`, `pending`, ...
    pub status: String,
    /// What was ordered, where the answer says so.
    #[serde(default)]
    pub items: Option<Vec<Item>>,
}

/// A payment as the shop tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Payment {
    /// Its own name.
    pub id: String,
    /// What it pays for.
    pub reference: String,
    /// How much.
    pub amount: Cents,
    /// `captured`, `authorised`, ...
    pub status: String,
}

#[derive(Serialize)]
struct NewUser<'a> {
    name: &'a str,
    email: &'a str,
}

#[derive(Deserialize)]
struct User {
    id: i64,
}

/// One client of the shop.
pub struct Shop(Client);

impl Shop {
    /// A client of the shop behind `gateway` (`http://host:port`).
    pub fn new(gateway: &str, timeout: Duration) -> Self {
        Self(Client::new(gateway, timeout))
    }

    /// Everything that can be ordered.
    pub async fn stock(&mut self) -> Result<Vec<Stock>> {
        self.list("/api/inventory").await
    }

    /// Every order, of one status if given.
    pub async fn orders(&mut self, status: Option<&str>) -> Result<Vec<Order>> {
        let filter = status.map(|status| format!("&status={status}")).unwrap_or_default();
        self.list(&format!("/api/orders?limit=200{filter}")).await
    }

    /// One order, with its items.
    pub async fn order(&mut self, id: i64) -> Result<Order> {
        Ok(self.0.get(&format!("/api/orders/{id}")).await?.1)
    }

    /// Every payment.
    pub async fn payments(&mut self) -> Result<Vec<Payment>> {
        self.list("/api/payments?limit=200").await
    }

    /// Puts an article on sale, or changes it.
    pub async fn put_stock(&mut self, line: &Stock) -> Result<()> {
        let body = Bytes::from(serde_json::to_vec(line)?);
        let path = format!("/api/inventory/{}", line.sku);
        let answer = self.0.send(Method::PUT, &path, &[], body).await?;
        if !answer.status.is_success() {
            bail!("PUT {path}: {}: {}", answer.status, answer.text());
        }
        Ok(())
    }

    /// Makes `count` users and tells their numbers.
    pub async fn create_users(&mut self, count: usize) -> Result<Vec<i64>> {
        let mut users = Vec::with_capacity(count);
        // Addresses are unique in the shop; another run may have been here before.
        let run = Uuid::now_v7();
        for number in 0..count {
            let (name, email) = (format!("Client {number}"), format!("client-{number}-{run}@example.com"));
            let body = Bytes::from(serde_json::to_vec(&NewUser { name: &name, email: &email })?);
            let answer = self.0.send(Method::POST, "/api/users", &[], body).await?;
            if !answer.status.is_success() {
                bail!("POST /api/users: {}: {}", answer.status, answer.text());
            }
            users.push(serde_json::from_slice::<User>(&answer.body).context("POST /api/users")?.id);
        }
        Ok(users)
    }

    /// Sends an order once. The same `key` may be sent again with the same order.
    pub async fn place(&mut self, order: &NewOrder, key: &str) -> Result<Answer, NoAnswer> {
        let invalid = |error: &dyn std::fmt::Display| NoAnswer::Connect(format!("not a request: {error}"));
        let body = Bytes::from(serde_json::to_vec(order).map_err(|e| invalid(&e))?);
        let key = HeaderValue::from_str(key).map_err(|e| invalid(&e))?;
        self.0.send(Method::POST, "/api/orders", &[(IDEMPOTENCY_KEY, key)], body).await
    }

    /// All pages of a list.
    async fn list<T: for<'de> Deserialize<'de>>(&mut self, first: &str) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut next = Some(first.to_owned());
        for _ in 0..MAX_PAGES {
            let Some(path) = next else { return Ok(all) };
            let (headers, mut page) = self.0.get::<Vec<T>>(&path).await?;
            all.append(&mut page);
            next = next_page(&headers).map(|link| resolve(&path, &link)).transpose()?;
        }
        bail!("{first} has more than {MAX_PAGES} pages")
    }
}

/// The target of `rel="next"` among the `Link` headers.
fn next_page(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|link| {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            parameters
                .split(';')
                .any(|p| matches!(p.trim(), r#"rel="next""# | "rel=next"))
                .then(|| target.to_owned())
        })
}

/// The path that `link` means on the page `current` (RFC 3986, the forms a service uses: a query alone, a whole path).
fn resolve(current: &str, link: &str) -> Result<String> {
    let path = current.split('?').next().unwrap_or_default();
    match link.as_bytes().first() {
        Some(b'?') => Ok(format!("{path}{link}")),
        Some(b'/') => Ok(link.to_owned()),
        _ => bail!("{current} links to {link:?}, which is neither a path nor a query"),
    }
}

/// Stock by article.
pub fn by_sku(stock: &[Stock]) -> BTreeMap<&str, &Stock> {
    stock.iter().map(|line| (line.sku.as_str(), line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        let mut headers = HeaderMap::new();
        assert_eq!(next_page(&headers), None);
        let link = r#"</orders?cursor=a>; rel="prev", </orders?cursor=b&limit=2>; rel="next""#;
        headers.insert(LINK, HeaderValue::from_static(link));
        assert_eq!(next_page(&headers).as_deref(), Some("/orders?cursor=b&limit=2"));
    }

    #[test]
    fn links_are_relative_to_their_page() {
        let resolved = |link| resolve("/api/orders?limit=2", link).ok();
        assert_eq!(resolved("?limit=2&cursor=b").as_deref(), Some("/api/orders?limit=2&cursor=b"));
        assert_eq!(resolved("/api/orders?cursor=b").as_deref(), Some("/api/orders?cursor=b"));
        assert_eq!(resolved("elsewhere"), None);
    }

    #[test]
    fn items_may_be_left_out() {
        let order: Order =
            serde_json::from_str(r#"{"id":1,"user_id":1,"amount":100.0,"status":"completed"}"#).unwrap();
        assert_eq!((order.amount, order.items), (Cents(10_000), None));
    }
}
