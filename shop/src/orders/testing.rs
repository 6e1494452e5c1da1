//! The other modules for the saga's tests: their real rules on a real database, behind a network that fails as it is
//! told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use trellis_sdk::core::{Error, Problem, codes};
use trellis_sdk::database::{Store, params};
use trellis_sdk::runtime::WallClock;
use uuid::Uuid;

use super::answer::Refusal;
use super::mail::Mail;
use super::model::{Line, NewOrder, Quote};
use super::repository::{Journal, Keys, Orders, Owner};
use super::saga::{Customer, Driver, Fault, Policy, Remotes};
use crate::backoff::Backoff;
use crate::codes::UNKNOWN_USER;
use crate::inventory::tests::Shelf;
use crate::money::Money;
use crate::payments::tests::Till;
use crate::testing::Tables;
use crate::time;
use crate::token::Token;

/// Everything in one database, as in the monolith.
pub(super) const TABLES: &[Tables] =
    &[crate::inventory::tests::TABLES, crate::payments::tests::TABLES, ("orders", super::MIGRATIONS)];

pub(super) const STOCK: [(&str, i64, i64); 2] = [("a", 5, 100), ("b", 3, 250)];
pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const START: i64 = 1_000_000;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It works.
    Fine,
    /// There was no connection: nothing is done, and the caller knows.
    Unsent,
    /// It is lost on the way: nothing is done, but the caller cannot know.
    Lost,
    /// It is done; the answer is lost.
    AnswerLost,
    /// It is held up and done long after the caller gave up.
    Late,
    /// The caller dies before it.
    CrashBefore,
    /// The caller dies before it hears the answer.
    CrashAfter,
    /// The caller stands still until everybody believes it dead, then goes on.
    Stall,
}

/// A call that has an effect.
#[derive(Debug, Clone)]
enum Deed {
    Reserve(Uuid, Vec<Line>),
    Release(Uuid),
    Authorise(Uuid, Money, Token),
    Capture(Uuid),
    Void(Uuid),
}

enum Reply {
    Done,
    Quote(Quote),
    Payment(Uuid),
}

pub(super) struct World {
    pub(super) store: Store,
    pub(super) clock: WallClock,
    pub(super) remotes: Arc<FaultyRemotes>,
    pub(super) policy: Policy,
}

/// One run of the orders' program.
pub(super) struct Process {
    pub(super) journal: Journal,
    pub(super) driver: Arc<Driver<FaultyRemotes>>,
}

pub(super) struct FaultyRemotes {
    pub(super) shelf: Shelf,
    pub(super) till: Till,
    script: Mutex<VecDeque<Fate>>,
    late: Mutex<Vec<Deed>>,
    /// The names of all calls so far.
    calls: Mutex<Vec<&'static str>>,
    pub(super) mails: Mutex<Vec<String>>,
    /// The caller is dead: its future is to be dropped.
    pub(super) crashed: Notify,
    /// The caller stands still until `resume`.
    pub(super) stalled: Notify,
    pub(super) resume: Notify,
}

impl World {
    pub(super) async fn new(store: Store, patience: Duration) -> Self {
        let remotes = FaultyRemotes {
            shelf: Shelf::new(store.clone()),
            till: Till::new(store.clone()),
            script: Mutex::default(),
            late: Mutex::default(),
            calls: Mutex::default(),
            mails: Mutex::default(),
            crashed: Notify::new(),
            stalled: Notify::new(),
            resume: Notify::new(),
        };
        for (sku, available, minor) in STOCK {
            remotes.shelf.put(sku, available, minor).await;
        }
        let at_once = Backoff { first: Duration::ZERO, most: Duration::ZERO };
        let policy =
            Policy { patience, retry: at_once, undo: at_once, tidy: Duration::from_mins(1), max_claims: 100 };
        Self { store, clock: WallClock::fixed(START), remotes: Arc::new(remotes), policy }
    }

    /// A new run of the program as `instance`.
    pub(super) fn process(&self, instance: &str) -> Process {
        let owner = Owner { instance: instance.into(), boot: Uuid::now_v7() };
        let journal = Journal::new(self.store.clone(), owner, LEASE, self.clock.clone());
        let driver = Driver {
            remotes: self.remotes.clone(),
            journal: journal.clone(),
            orders: self.orders(),
            policy: self.policy,
            clock: self.clock.clone(),
            mail_bell: Arc::new(Notify::new()),
        };
        Process { journal, driver: Arc::new(driver) }
    }

    pub(super) fn orders(&self) -> Orders {
        Orders::new(self.store.clone())
    }

    pub(super) fn keys(&self) -> Keys {
        Keys::new(self.store.clone())
    }

    /// Lets every lease end.
    pub(super) fn pass_lease(&self) {
        self.clock.set(time::after(self.clock.unix_millis(), LEASE));
    }

    pub(super) async fn count(&self, sql: &'static str) -> i64 {
        self.store.fetch_one(sql, params![]).await.unwrap()
    }

    /// Stock, money and orders agree, and nothing is left half done.
    pub(super) async fn check(&self) {
        assert_eq!(self.count("SELECT COUNT(*) FROM orders_sagas").await, 0, "work is left");
        assert_eq!(
            self.count("SELECT COUNT(*) FROM orders_keys WHERE answer IS NULL").await,
            0,
            "a key is stuck"
        );
        for (sku, initial, _) in STOCK {
            let sql = "SELECT CAST(COALESCE(SUM(quantity), 0) AS BIGINT) FROM orders_items
                JOIN orders_orders ON id = order_id WHERE status = 'completed' AND sku = $1";
            let sold: i64 = self.store.fetch_one(sql, params![sku]).await.unwrap();
            assert_eq!(self.remotes.shelf.available(sku).await + sold, initial, "stock of {sku}");
        }
        let completed: Vec<i64> = self
            .store
            .fetch_all("SELECT amount FROM orders_orders WHERE status = 'completed'", params![])
            .await
            .unwrap();
        let expected = (completed.len(), completed.iter().sum::<i64>());
        assert_eq!(self.remotes.till.sum("captured").await, expected, "payments taken");
        assert_eq!(self.remotes.till.sum("authorised").await, (0, 0), "money is set aside for nothing");
        assert_eq!(self.count("SELECT COUNT(*) FROM orders_orders WHERE status = 'pending'").await, 0);
    }
}

impl FaultyRemotes {
    /// What becomes of the next calls; those after them work.
    pub(super) fn expect(&self, script: &[Fate]) {
        *lock(&self.script) = script.iter().copied().collect();
    }

    pub(super) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut lock(&self.calls))
    }

    /// What was held up arrives at last.
    pub(super) async fn deliver_late(&self) {
        let late = std::mem::take(&mut *lock(&self.late));
        for deed in late {
            // Whoever sent it is long gone.
            let _ = self.perform(&deed).await;
        }
    }

    async fn call(&self, name: &'static str, deed: Deed) -> Result<Reply, Fault> {
        lock(&self.calls).push(name);
        let fate = lock(&self.script).pop_front().unwrap_or(Fate::Fine);
        match fate {
            Fate::Fine => self.perform(&deed).await,
            Fate::Unsent => Err(failed(false)),
            Fate::Lost => Err(failed(true)),
            Fate::AnswerLost => {
                let _ = self.perform(&deed).await;
                Err(failed(true))
            }
            Fate::Late => {
                lock(&self.late).push(deed);
                Err(failed(true))
            }
            Fate::CrashBefore => self.crash().await,
            Fate::CrashAfter => {
                let _ = self.perform(&deed).await;
                self.crash().await
            }
            Fate::Stall => {
                self.stalled.notify_one();
                self.resume.notified().await;
                self.perform(&deed).await
            }
        }
    }

    async fn crash(&self) -> Result<Reply, Fault> {
        self.crashed.notify_one();
        std::future::pending().await
    }

    async fn perform(&self, deed: &Deed) -> Result<Reply, Fault> {
        let done = match deed {
            Deed::Reserve(attempt, lines) => {
                let lines: Vec<_> = lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
                let reserved = self.shelf.reserve(*attempt, &lines).await;
                reserved.map(|(prices, total)| Reply::Quote(Quote { prices, total }))
            }
            Deed::Release(attempt) => self.shelf.release(*attempt).await.map(|()| Reply::Done),
            Deed::Authorise(attempt, amount, token) => {
                self.till.authorise(&attempt.to_string(), *amount, token).await.map(Reply::Payment)
            }
            Deed::Capture(payment) => self.till.capture(*payment).await.map(|()| Reply::Done),
            Deed::Void(attempt) => self.till.void(&attempt.to_string()).await.map(|()| Reply::Done),
        };
        done.map_err(|error| match Refusal::passed_on(&Problem::from(&error)) {
            Some(refusal) => Fault::Refused(refusal),
            None => Fault::Failed { error, may_be_done: true, may_pass: false },
        })
    }
}

impl Remotes for FaultyRemotes {
    async fn customer(&self, user_id: i64) -> Result<Customer, Fault> {
        match user_id {
            1 => Ok(Customer { email: "alice@example.com".into() }),
            500 => Err(failed(false)),
            _ => Err(Fault::Refused(Refusal::new(UNKNOWN_USER, "there is no such user"))),
        }
    }

    async fn reserve(&self, attempt: Uuid, lines: &[Line]) -> Result<Quote, Fault> {
        match self.call("reserve", Deed::Reserve(attempt, lines.to_vec())).await? {
            Reply::Quote(quote) => Ok(quote),
            _ => Err(failed(true)),
        }
    }

    async fn release(&self, attempt: Uuid) -> Result<(), Fault> {
        self.call("release", Deed::Release(attempt)).await.map(drop)
    }

    async fn authorise(&self, attempt: Uuid, amount: Money, token: &Token) -> Result<Uuid, Fault> {
        match self.call("authorise", Deed::Authorise(attempt, amount, token.clone())).await? {
            Reply::Payment(id) => Ok(id),
            _ => Err(failed(true)),
        }
    }

    async fn capture(&self, payment: Uuid) -> Result<(), Fault> {
        self.call("capture", Deed::Capture(payment)).await.map(drop)
    }

    async fn void(&self, attempt: Uuid) -> Result<(), Fault> {
        self.call("void", Deed::Void(attempt)).await.map(drop)
    }

    async fn notify(&self, key: &str, _mail: &Mail) -> Result<(), Fault> {
        lock(&self.mails).push(key.to_owned());
        Ok(())
    }
}

/// An order of `quantity` pieces of one article.
pub(super) fn order(sku: &str, quantity: i64, token: &str) -> NewOrder {
    let items = vec![Line { sku: sku.into(), quantity }];
    NewOrder { user_id: 1, items, payment_token: Token::new(token) }
}

fn failed(may_be_done: bool) -> Fault {
    Fault::Failed {
        error: Error::new(codes::CONNECT_FAILED, "the module does not answer"),
        may_be_done,
        may_pass: true,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
