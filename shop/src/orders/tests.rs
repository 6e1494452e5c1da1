//! The rules about orders, with the work done by tasks as in earnest, on both databases.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;
use trellis_sdk::core::codes;
use trellis_sdk::database::Store;
use trellis_sdk::runtime::Shutdown;

use super::model::{NewOrder, Status};
use super::postman::Postman;
use super::repository::{Filter, Outbox};
use super::saga::Recovery;
use super::service::Service;
use super::testing::{Fate, FaultyRemotes, TABLES, World, order};
use crate::codes::{ORDER_BUSY, ORDER_NOT_PLACED, PAYMENT_DECLINED, UNKNOWN_USER};
use crate::paging::PageQuery;
use crate::testing::on_both_databases;

on_both_databases! {
    TABLES;
    the_same_request_gets_the_same_answer, of_many_with_one_key_one_is_placed, who_is_unknown_orders_nothing,
    a_client_that_goes_away_changes_nothing, an_order_in_the_making_is_not_cancelled, cancelling_gives_everything_back,
    the_demo_orders_can_be_worked_with, too_many_at_once_are_refused, the_recovery_finishes_what_was_left,
    mail_is_handed_on, lists_can_be_filtered, old_keys_are_forgotten,
}

type Shop = Arc<Service<FaultyRemotes>>;

fn shop(world: &World) -> Shop {
    let process = world.process("orders-1");
    Arc::new(Service {
        orders: world.orders(),
        keys: world.keys(),
        journal: process.journal,
        driver: process.driver,
        room: Arc::new(Semaphore::new(50)),
        tracker: TaskTracker::new(),
        clock: world.clock.clone(),
    })
}

async fn new(store: Store) -> (World, Shop) {
    let world = World::new(store, Duration::ZERO).await;
    let shop = shop(&world);
    (world, shop)
}

fn recovery(world: &World, shop: &Shop) -> Recovery<FaultyRemotes> {
    let process = world.process("orders-1");
    Recovery {
        driver: process.driver,
        journal: process.journal,
        keys: world.keys(),
        key_lifetime: Duration::from_mins(1),
        clock: world.clock.clone(),
        tracker: shop.tracker.clone(),
        module: "orders".parse().unwrap(),
    }
}

async fn the_same_request_gets_the_same_answer(store: Store) {
    let (world, shop) = new(store).await;
    let first = shop.place(Some("k".into()), order("a", 1, "tok_ok")).await.unwrap();
    let again = shop.place(Some("k".into()), order("a", 1, "tok_ok")).await.unwrap();
    assert_eq!(first, again);
    let other = shop.place(Some("k".into()), order("a", 2, "tok_ok")).await.unwrap_err();
    assert_eq!(other.code(), codes::IDEMPOTENCY_MISMATCH);

    for _ in 0..2 {
        let declined = shop.place(Some("d".into()), order("a", 1, "tok_declined")).await.unwrap_err();
        assert_eq!(declined.code(), PAYMENT_DECLINED);
    }
    let without_key = shop.place(None, order("a", 1, "tok_ok")).await.unwrap();
    assert_ne!(without_key.order.id, first.order.id);
    assert_eq!(world.count("SELECT COUNT(*) FROM orders_orders").await, 3);
    world.check().await;
}

async fn of_many_with_one_key_one_is_placed(store: Store) {
    let (world, shop) = new(store).await;
    let answers = join_all((0..20).map(|_| shop.place(Some("k".into()), order("a", 1, "tok_ok")))).await;
    let placed: Vec<_> = answers.iter().flatten().collect();
    assert!(!placed.is_empty() && placed.iter().all(|one| *one == placed[0]));
    let waiting = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(waiting.into_iter().all(|error| error.code() == codes::IDEMPOTENCY_IN_PROGRESS));
    assert_eq!(world.count("SELECT COUNT(*) FROM orders_orders").await, 1);
    world.check().await;
}

async fn who_is_unknown_orders_nothing(store: Store) {
    let (world, shop) = new(store).await;
    let by = |user_id| NewOrder { user_id, ..order("a", 1, "tok_ok") };
    for _ in 0..2 {
        assert_eq!(shop.place(Some("k".into()), by(9)).await.unwrap_err().code(), UNKNOWN_USER);
    }
    let absent = shop.place(Some("k2".into()), by(500)).await.unwrap_err();
    assert_eq!((absent.code(), absent.status()), (ORDER_NOT_PLACED, 503));
    assert_eq!(world.count("SELECT COUNT(*) FROM orders_orders").await, 0);
    assert_eq!(
        world.count("SELECT COUNT(*) FROM orders_keys").await,
        1,
        "the refusal is kept, the failure is not"
    );
    assert!(world.remotes.calls().is_empty());
}

async fn a_client_that_goes_away_changes_nothing(store: Store) {
    let (world, shop) = new(store).await;
    world.remotes.expect(&[Fate::Stall]);
    let mut placing = Box::pin(shop.place(Some("k".into()), order("a", 1, "tok_ok")));
    tokio::select! {
        answer = &mut placing => panic!("{answer:?}"),
        () = world.remotes.stalled.notified() => {}
    }
    drop(placing);
    let meanwhile = shop.place(Some("k".into()), order("a", 1, "tok_ok")).await.unwrap_err();
    assert_eq!(meanwhile.code(), codes::IDEMPOTENCY_IN_PROGRESS);

    world.remotes.resume.notify_one();
    shop.tracker.close();
    shop.tracker.wait().await;
    let placed = shop.place(Some("k".into()), order("a", 1, "tok_ok")).await.unwrap();
    assert_eq!(placed.order.status, Status::Completed);
    world.check().await;
}

async fn an_order_in_the_making_is_not_cancelled(store: Store) {
    let (world, shop) = new(store).await;
    world.remotes.expect(&[Fate::Stall]);
    let mut placing = Box::pin(shop.place(None, order("a", 1, "tok_ok")));
    tokio::select! {
        answer = &mut placing => panic!("{answer:?}"),
        () = world.remotes.stalled.notified() => {}
    }
    let refused = shop.cancel(1).await.map(|cancelled| cancelled.is_done).unwrap_err();
    assert_eq!(refused.code(), ORDER_BUSY);
    world.remotes.resume.notify_one();
    let placed = placing.await.unwrap();
    assert!(shop.cancel(placed.order.id).await.unwrap().is_done);
    world.check().await;
}

async fn cancelling_gives_everything_back(store: Store) {
    let (world, shop) = new(store).await;
    let id = shop.place(Some("k".into()), order("a", 2, "tok_ok")).await.unwrap().order.id;
    // The first try fails: it is promised, and kept.
    world.remotes.expect(&[Fate::Unsent, Fate::Lost]);
    let promised = shop.cancel(id).await.unwrap();
    assert_eq!((promised.is_done, promised.order.order.status), (false, Status::Completed));
    assert!(!shop.cancel(id).await.unwrap().is_done, "it is under way");

    let shutdown = Shutdown::new();
    let running = tokio::spawn(recovery(&world, &shop).run(shutdown.clone()));
    trellis_testkit::wait_until("the order is cancelled", Duration::from_secs(30), async || {
        shop.cancel(id).await.unwrap().is_done
    })
    .await
    .unwrap();
    shutdown.trigger();
    running.await.unwrap().unwrap();
    let cancelled = shop.get(id).await.unwrap();
    assert_eq!(
        (cancelled.order.status, cancelled.reason.as_deref()),
        (Status::Cancelled, Some("cancelled on request"))
    );
    assert_eq!(world.remotes.till.sum("refunded").await, (1, 200));
    world.check().await;
    assert_eq!(shop.cancel(99).await.map(|_| ()).unwrap_err().code(), codes::NOT_FOUND);
}

async fn the_demo_orders_can_be_worked_with(store: Store) {
    let (world, shop) = new(store).await;
    shop.seed().await.unwrap();
    shop.seed().await.unwrap();
    let window = PageQuery::default().window().unwrap();
    let listed = shop.list(Filter::default(), &window).await.unwrap().items;
    let shown = serde_json::to_string(&listed).unwrap();
    let wanted = r#"[{"id":1,"user_id":1,"amount":100.0,"status":"completed"},{"id":2,"user_id":2,"amount":200.0,"status":"pending"}]"#;
    assert_eq!(shown, wanted);
    let process = world.process("orders-2");
    world.pass_lease();
    assert!(process.journal.claim_due(10).await.unwrap().is_empty(), "nobody works on Bob's order");
    assert!(shop.cancel(2).await.unwrap().is_done);
    assert_eq!(shop.get(2).await.unwrap().order.status, Status::Cancelled);
}

async fn too_many_at_once_are_refused(store: Store) {
    let (world, shop) = new(store).await;
    let held = shop.room.clone().acquire_many_owned(50).await.unwrap();
    let refused = shop.place(None, order("a", 1, "tok_ok")).await.unwrap_err();
    assert_eq!((refused.code(), refused.status()), (codes::OVERLOADED, 503));
    drop(held);
    shop.place(None, order("a", 1, "tok_ok")).await.unwrap();
    assert_eq!(shop.room.available_permits(), 50);
    world.check().await;
}

async fn the_recovery_finishes_what_was_left(store: Store) {
    let (world, shop) = new(store).await;
    // Its process dies while it waits for an answer.
    world.remotes.expect(&[Fate::Fine, Fate::CrashAfter]);
    let mut placing = Box::pin(shop.place(Some("k".into()), order("a", 1, "tok_ok")));
    tokio::select! {
        answer = &mut placing => panic!("{answer:?}"),
        () = world.remotes.crashed.notified() => {}
    }
    drop(placing);

    let next = self::shop(&world);
    let shutdown = Shutdown::new();
    let running = tokio::spawn(recovery(&world, &next).run(shutdown.clone()));
    trellis_testkit::wait_until("the order is placed", Duration::from_secs(30), async || {
        next.place(Some("k".into()), order("a", 1, "tok_ok")).await.is_ok()
    })
    .await
    .unwrap();
    shutdown.trigger();
    running.await.unwrap().unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM orders_orders").await, 1);
    world.check().await;
}

async fn mail_is_handed_on(store: Store) {
    let (world, shop) = new(store.clone()).await;
    shop.place(None, order("a", 1, "tok_ok")).await.unwrap();
    shop.place(None, order("b", 1, "tok_ok")).await.unwrap();
    let outbox = Outbox::new(store);
    // Taken by someone who was killed before it was handed on.
    let now_ms = world.clock.unix_millis();
    assert_eq!(outbox.claim(1, now_ms, now_ms + 30_000).await.unwrap().len(), 1);
    let bell = Arc::new(Notify::new());
    let postman = Postman { outbox, remotes: world.remotes.clone(), bell, clock: world.clock.clone() };
    assert_eq!(postman.round().await, 1);
    world.clock.set(now_ms + 30_000);
    assert_eq!(postman.round().await, 1);
    assert_eq!(postman.round().await, 0);
    let mails = world.remotes.mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 2);
    assert_ne!(mails[0], mails[1]);
    assert_eq!(world.count("SELECT COUNT(*) FROM orders_outbox").await, 0);
}

async fn lists_can_be_filtered(store: Store) {
    let (_world, shop) = new(store).await;
    shop.seed().await.unwrap();
    shop.place(None, order("a", 1, "tok_ok")).await.unwrap();
    shop.place(None, order("a", 1, "tok_declined")).await.unwrap_err();
    let window = PageQuery::default().window().unwrap();
    for (user_id, status, ids) in [
        (None, None, &[1, 2, 3, 4][..]),
        (Some(1), None, &[1, 3, 4]),
        (None, Some(Status::Completed), &[1, 3]),
        (Some(2), Some(Status::Pending), &[2]),
        (Some(2), Some(Status::Completed), &[]),
    ] {
        let listed = shop.list(Filter { user_id, status }, &window).await.unwrap().items;
        assert_eq!(listed.iter().map(|order| order.id).collect::<Vec<_>>(), ids, "{user_id:?} {status:?}");
    }
}

async fn old_keys_are_forgotten(store: Store) {
    let (world, shop) = new(store).await;
    let first = shop.place(Some("k".into()), order("a", 1, "tok_ok")).await.unwrap();
    let now_ms = world.clock.unix_millis();
    assert_eq!(world.keys().purge(now_ms, 10).await.unwrap(), 0);
    assert_eq!(world.keys().purge(now_ms + 1, 10).await.unwrap(), 1);
    let second = shop.place(Some("k".into()), order("a", 1, "tok_ok")).await.unwrap();
    assert_ne!(first.order.id, second.order.id);
}
