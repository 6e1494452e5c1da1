//! Clients that never give up on an order easily: the same `Idempotency-Key` is sent again until there is an answer.

use std::time::Duration;

use fastrand::Rng;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::audit::{Attempt, Outcome};
use crate::client::{Answer, NoAnswer};
use crate::money::Cents;
use crate::shop::{Item, NewOrder, Shop, Stock};

/// Longest wait for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(35);
/// Wait before the same order is sent again, when the server does not say.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// Most times that one order is sent.
const MAX_SENDS: u32 = 200;

/// Orders and requests, counted.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Tally {
    /// Orders that clients tried to place.
    pub placed: u64,
    /// Told as completed.
    pub acknowledged: u64,
    /// Told as refused: out of stock, or declined.
    pub refused: u64,
    /// Never answered, however often they were sent.
    pub unanswered: u64,
    /// Times an order was sent again.
    pub retries: u64,
}

/// What one client did.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) attempts: Vec<Attempt>,
    pub(super) tally: Tally,
}

/// One client, one user.
pub(super) struct Client {
    shop: Shop,
    user_id: i64,
    stock: Vec<Stock>,
    random: Rng,
}

#[derive(Deserialize)]
struct Placed {
    id: i64,
    amount: Cents,
    status: String,
}

impl Client {
    pub(super) fn new(gateway: &str, user_id: i64, stock: Vec<Stock>) -> Self {
        Self { shop: Shop::new(gateway, ANSWER_LIMIT), user_id, stock, random: Rng::new() }
    }

    /// Places one order after another until `close` tells how long the last one may still be sent again.
    pub(super) async fn run(mut self, close: watch::Receiver<Option<Instant>>) -> Done {
        let mut done = Done::default();
        while close.borrow().is_none() {
            let order = self.choose();
            let key = Uuid::now_v7().to_string();
            let outcome = self.place(&order, &key, &close, &mut done.tally).await;
            done.tally.count(&outcome);
            done.attempts.push(Attempt { key, user_id: self.user_id, items: order.items, outcome });
        }
        done
    }

    /// A few pieces of one or two articles; one order in twenty cannot be paid.
    fn choose(&mut self) -> NewOrder {
        let mut skus: Vec<&str> = self.stock.iter().map(|line| line.sku.as_str()).collect();
        self.random.shuffle(&mut skus);
        let lines = self.random.usize(1..=2);
        let items = skus
            .into_iter()
            .take(lines)
            .map(|sku| Item { sku: sku.into(), quantity: self.random.i64(1..=3) });
        let items = items.collect();
        let payment_token = if self.random.u8(..20) == 0 { "tok_declined" } else { "tok_ok" };
        NewOrder { user_id: self.user_id, items, payment_token }
    }

    async fn place(
        &mut self,
        order: &NewOrder,
        key: &str,
        close: &watch::Receiver<Option<Instant>>,
        tally: &mut Tally,
    ) -> Outcome {
        for send in 0..MAX_SENDS {
            tally.retries += u64::from(send > 0);
            let wait = match self.shop.place(order, key).await {
                Ok(answer) => match judge(&answer) {
                    Verdict::Final(outcome) => return outcome,
                    Verdict::Again(wait) => wait,
                },
                Err(NoAnswer::Connect(_) | NoAnswer::Broken(_) | NoAnswer::Timeout) => RETRY_WAIT,
            };
            // Not all at once: the clients would stay in step.
            let wait = wait.mul_f64(0.5 + self.random.f64());
            if close.borrow().is_some_and(|deadline| Instant::now() + wait > deadline) {
                break;
            }
            tokio::time::sleep(wait).await;
        }
        Outcome::Unanswered
    }
}

/// What an answer means for the order.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is decided.
    Final(Outcome),
    /// It is not; the same request may be sent again after this long.
    Again(Duration),
}

fn judge(answer: &Answer) -> Verdict {
    let unexpected = || Verdict::Final(Outcome::Unexpected(format!("{}: {}", answer.status, answer.text())));
    let again = || Verdict::Again(answer.retry_after().unwrap_or(RETRY_WAIT));
    match answer.status {
        StatusCode::CREATED | StatusCode::OK => match serde_json::from_slice::<Placed>(&answer.body) {
            Ok(placed) if placed.status == "completed" => {
                Verdict::Final(Outcome::Acknowledged { order: placed.id, amount: placed.amount })
            }
            _ => unexpected(),
        },
        // With a time to come back at: the first request with this key is still under way. Without: out of stock.
        StatusCode::CONFLICT if answer.retry_after().is_some() => again(),
        StatusCode::CONFLICT | StatusCode::PAYMENT_REQUIRED => Verdict::Final(Outcome::Refused),
        // Sending again is safe whatever happened to this one: that is what the key is for.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => again(),
        _ => unexpected(),
    }
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        self.placed += 1;
        match outcome {
            Outcome::Acknowledged { .. } => self.acknowledged += 1,
            Outcome::Refused => self.refused += 1,
            Outcome::Unanswered => self.unanswered += 1,
            Outcome::Unexpected(_) => {}
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.placed += other.placed;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.retries += other.retries;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;
    use http::header::RETRY_AFTER;

    use super::*;

    fn answer(status: u16, retry_after: Option<&'static str>, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, http::HeaderValue::from_static(seconds));
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn only_a_completed_order_is_an_acknowledgement() {
        let told = judge(&answer(201, None, r#"{"id":7,"user_id":1,"amount":12.5,"status":"completed"}"#));
        assert_eq!(told, Verdict::Final(Outcome::Acknowledged { order: 7, amount: Cents(1250) }));
        let pending = judge(&answer(201, None, r#"{"id":7,"user_id":1,"amount":12.5,"status":"pending"}"#));
        assert!(matches!(pending, Verdict::Final(Outcome::Unexpected(_))));
    }

    #[test]
    fn a_conflict_is_final_unless_the_first_request_is_under_way() {
        let under_way = judge(&answer(409, Some("3"), "{}"));
        assert_eq!(under_way, Verdict::Again(Duration::from_secs(3)));
        assert_eq!(judge(&answer(409, None, "{}")), Verdict::Final(Outcome::Refused));
        assert_eq!(judge(&answer(402, None, "{}")), Verdict::Final(Outcome::Refused));
    }

    #[test]
    fn faults_are_sent_again_and_failures_are_not_excused() {
        for status in [502, 503, 504] {
            assert_eq!(judge(&answer(status, None, "")), Verdict::Again(RETRY_WAIT), "{status}");
        }
        for status in [400, 404, 422, 500] {
            assert!(
                matches!(judge(&answer(status, None, "")), Verdict::Final(Outcome::Unexpected(_))),
                "{status}"
            );
        }
    }
}
