//! One fault at a time: what exactly happens.

use std::time::Duration;

use trellis_sdk::core::codes;
use trellis_sdk::database::{Store, params};

use super::super::driver::Outcome;
use super::{Left, begin, key, recover, run};
use crate::codes::{ORDER_NOT_PLACED, ORDER_TAKEN_OVER, OUT_OF_STOCK, PAYMENT_DECLINED};
use crate::orders::model::Status;
use crate::orders::testing::{Fate, TABLES, World, order};
use crate::testing::on_both_databases;

const ONE_TRY: Duration = Duration::ZERO;
const PATIENT: Duration = Duration::from_mins(1);

on_both_databases! {
    TABLES;
    an_order_is_placed, a_crash_anywhere_is_finished_forward, a_lost_answer_is_asked_for_again,
    without_stock_nothing_is_taken_back, a_declined_payment_gives_the_stock_back, an_absent_module_undoes_the_order,
    undoing_goes_on_until_it_is_done, the_token_goes_when_it_is_decided, a_dead_instance_is_taken_over_after_its_lease,
    one_that_was_believed_dead_does_no_harm, an_order_that_is_interrupted_too_often_is_undone,
}

async fn world(store: Store, patience: Duration) -> World {
    World::new(store, patience).await
}

async fn an_order_is_placed(store: Store) {
    let world = world(store, ONE_TRY).await;
    let process = world.process("orders-1");
    let wanted = order("a", 2, "tok_ok");
    let saga = begin(&process, key("k", &wanted), wanted.clone()).await;
    let (_, outcome) = run(&world, &process, saga).await;
    let Some(Outcome::Completed(placed)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((placed.order.status, placed.order.amount.minor()), (Status::Completed, 200));
    assert_eq!(world.orders().get(placed.order.id).await.unwrap().as_ref(), Some(&placed));
    assert_eq!(world.remotes.calls(), ["reserve", "authorise", "capture"]);
    assert_eq!(world.count("SELECT COUNT(*) FROM orders_outbox").await, 1);
    let known = world.keys().find(&key("k", &wanted)).await.unwrap().unwrap();
    assert_eq!(known.answer(&key("k", &wanted)).unwrap(), placed);
    world.check().await;
}

async fn a_crash_anywhere_is_finished_forward(store: Store) {
    let world = world(store, ONE_TRY).await;
    for (step, sku) in [(0, "a"), (1, "a"), (2, "b")] {
        for crash in [Fate::CrashBefore, Fate::CrashAfter] {
            let process = world.process("orders-1");
            let wanted = order(sku, 1, "tok_ok");
            let mut script = vec![Fate::Fine; step];
            script.push(crash);
            world.remotes.expect(&script);
            let saga = begin(&process, key(&format!("{step}{crash:?}"), &wanted), wanted).await;
            let id = saga.order_id;
            assert!(matches!(run(&world, &process, saga).await, (Left::Crashed, None)));

            // The same instance, started again, need not wait for its own lease.
            let again = world.process("orders-1");
            let sagas = again.journal.claim_due(10).await.unwrap();
            assert_eq!(sagas.len(), 1, "step {step} {crash:?}");
            run(&world, &again, sagas.into_iter().next().unwrap()).await;
            let placed = world.orders().get(id).await.unwrap().unwrap();
            assert_eq!(placed.order.status, Status::Completed, "step {step} {crash:?}");
            world.check().await;
        }
    }
}

async fn a_lost_answer_is_asked_for_again(store: Store) {
    let world = world(store, PATIENT).await;
    let process = world.process("orders-1");
    let wanted = order("a", 1, "tok_ok");
    let saga = begin(&process, key("k", &wanted), wanted).await;
    world.remotes.expect(&[Fate::AnswerLost, Fate::Fine, Fate::Unsent, Fate::AnswerLost, Fate::Lost]);
    assert!(matches!(run(&world, &process, saga).await.1, Some(Outcome::Completed(_))));
    world.check().await;
}

async fn without_stock_nothing_is_taken_back(store: Store) {
    let world = world(store, PATIENT).await;
    let process = world.process("orders-1");
    let wanted = order("a", 6, "tok_ok");
    let saga = begin(&process, key("k", &wanted), wanted.clone()).await;
    let id = saga.order_id;
    let Some(Outcome::Failed(error)) = run(&world, &process, saga).await.1 else { panic!("it fails") };
    assert_eq!((error.code(), &error.extensions()["sku"]), (OUT_OF_STOCK, &"a".into()));
    assert_eq!(world.remotes.calls(), ["reserve"], "there is nothing to take back");
    let cancelled = world.orders().get(id).await.unwrap().unwrap();
    assert_eq!(cancelled.order.status, Status::Cancelled);
    assert!(cancelled.reason.unwrap().contains('a'));
    let known = world.keys().find(&key("k", &wanted)).await.unwrap().unwrap();
    assert_eq!(known.answer(&key("k", &wanted)).unwrap_err().code(), OUT_OF_STOCK, "and the answer stays");
    world.check().await;

    // A first try whose fate is unknown may still take stock, so this time there is.
    let saga = begin(&process, key("k2", &wanted), wanted).await;
    world.remotes.expect(&[Fate::Late]);
    run(&world, &process, saga).await;
    assert_eq!(world.remotes.calls(), ["reserve", "reserve", "release"]);
    world.remotes.deliver_late().await;
    world.check().await;
}

async fn a_declined_payment_gives_the_stock_back(store: Store) {
    let world = world(store, PATIENT).await;
    let process = world.process("orders-1");
    let wanted = order("a", 2, "tok_declined");
    let saga = begin(&process, key("k", &wanted), wanted).await;
    let id = saga.order_id;
    let Some(Outcome::Failed(error)) = run(&world, &process, saga).await.1 else { panic!("it fails") };
    assert_eq!(error.code(), PAYMENT_DECLINED);
    assert_eq!(world.remotes.calls(), ["reserve", "authorise", "release"]);
    let cancelled = world.orders().get(id).await.unwrap().unwrap();
    assert_eq!(cancelled.order.amount.minor(), 200, "it is told what it would have cost");
    world.check().await;
}

async fn an_absent_module_undoes_the_order(store: Store) {
    let world = world(store, ONE_TRY).await;
    let process = world.process("orders-1");
    let wanted = order("a", 2, "tok_ok");
    let saga = begin(&process, key("k", &wanted), wanted.clone()).await;
    world.remotes.expect(&[Fate::Fine, Fate::Unsent]);
    let Some(Outcome::Failed(error)) = run(&world, &process, saga).await.1 else { panic!("it fails") };
    assert_eq!((error.code(), error.status()), (ORDER_NOT_PLACED, 503));
    assert_eq!(
        world.remotes.calls(),
        ["reserve", "authorise", "release"],
        "what was never sent needs no void"
    );
    assert!(world.keys().find(&key("k", &wanted)).await.unwrap().is_none(), "the key is free again");
    world.check().await;

    let saga = begin(&process, key("k", &wanted), wanted).await;
    assert!(matches!(run(&world, &process, saga).await.1, Some(Outcome::Completed(_))));
    world.check().await;
}

async fn undoing_goes_on_until_it_is_done(store: Store) {
    let world = world(store, ONE_TRY).await;
    let process = world.process("orders-1");
    let wanted = order("a", 2, "tok_ok");
    let saga = begin(&process, key("k", &wanted), wanted.clone()).await;
    world.remotes.expect(&[Fate::Fine, Fate::Fine, Fate::Lost, Fate::Unsent, Fate::Unsent]);
    assert!(matches!(run(&world, &process, saga).await.1, Some(Outcome::Failed(_))));
    assert_eq!(world.remotes.calls(), ["reserve", "authorise", "capture", "release", "void"]);
    let known = world.keys().find(&key("k", &wanted)).await.unwrap().unwrap();
    let error = known.answer(&key("k", &wanted)).unwrap_err();
    assert_eq!(error.code(), codes::IDEMPOTENCY_IN_PROGRESS, "the client must not try again yet");

    for tries in 1..=3 {
        let saga = process.journal.claim_due(10).await.unwrap().remove(0);
        assert_eq!(saga.tries, tries);
        world.remotes.expect(&[Fate::AnswerLost, Fate::Lost]);
        run(&world, &process, saga).await;
    }
    recover(&world, "orders-1").await;
    assert!(world.keys().find(&key("k", &wanted)).await.unwrap().is_none());
    world.check().await;
}

async fn the_token_goes_when_it_is_decided(store: Store) {
    let world = world(store.clone(), ONE_TRY).await;
    let process = world.process("orders-1");
    let wanted = order("a", 2, "tok_ok");
    let saga = begin(&process, key("k", &wanted), wanted).await;
    let tokens = "SELECT COUNT(*) FROM orders_sagas WHERE token IS NOT NULL";
    assert_eq!(world.count(tokens).await, 1, "it is needed to go on after a crash");
    world.remotes.expect(&[Fate::Fine, Fate::Lost, Fate::Unsent]);
    run(&world, &process, saga).await;
    let rows: i64 = store.fetch_one("SELECT COUNT(*) FROM orders_sagas", params![]).await.unwrap();
    assert_eq!((rows, world.count(tokens).await), (1, 0));
    recover(&world, "orders-1").await;
    world.check().await;
}

async fn a_dead_instance_is_taken_over_after_its_lease(store: Store) {
    let world = world(store, ONE_TRY).await;
    let (dead, other, third) =
        (world.process("orders-1"), world.process("orders-2"), world.process("orders-3"));
    let wanted = order("a", 2, "tok_ok");
    let saga = begin(&dead, key("k", &wanted), wanted).await;
    world.remotes.expect(&[Fate::CrashAfter]);
    run(&world, &dead, saga).await;
    assert!(other.journal.claim_due(10).await.unwrap().is_empty(), "it may still be alive");
    world.pass_lease();
    let (first, second) = tokio::join!(other.journal.claim_due(10), third.journal.claim_due(10));
    let claimed: Vec<_> = first.unwrap().into_iter().chain(second.unwrap()).collect();
    assert_eq!(claimed.len(), 1, "only one takes it over");
    run(&world, &other, claimed.into_iter().next().unwrap()).await;
    assert_eq!(world.remotes.till.sum("captured").await, (1, 200));
}

async fn one_that_was_believed_dead_does_no_harm(store: Store) {
    let world = world(store, ONE_TRY).await;
    for (step, ends_as) in [(0, Status::Completed), (1, Status::Cancelled), (2, Status::Cancelled)] {
        let (slow, other) = (world.process("orders-1"), world.process("orders-2"));
        let wanted = order("b", 1, "tok_ok");
        let saga = begin(&slow, key(&step.to_string(), &wanted), wanted).await;
        let id = saga.order_id;
        let mut script = vec![Fate::Fine; step];
        script.push(Fate::Stall);
        world.remotes.expect(&script);
        let (report, mut outcome) = super::Report::channel();
        let mut zombie = Box::pin(slow.driver.run(saga, report));
        tokio::select! {
            () = &mut zombie => panic!("it stands still"),
            () = world.remotes.stalled.notified() => {}
        }
        world.pass_lease();
        let saga = other.journal.claim_due(10).await.unwrap().remove(0);
        if ends_as == Status::Cancelled {
            world.remotes.expect(&[Fate::Unsent]);
        }
        run(&world, &other, saga).await;
        assert_eq!(world.orders().get(id).await.unwrap().unwrap().order.status, ends_as);

        world.remotes.resume.notify_one();
        zombie.await;
        match outcome.try_recv().unwrap() {
            Outcome::Completed(order) => assert_eq!((order.order.id, ends_as), (id, Status::Completed)),
            Outcome::Failed(error) => {
                assert_eq!((error.code(), ends_as), (ORDER_TAKEN_OVER, Status::Cancelled));
            }
            other => panic!("{other:?}"),
        }
        world.check().await;
    }
}

async fn an_order_that_is_interrupted_too_often_is_undone(store: Store) {
    let mut world = world(store, ONE_TRY).await;
    world.policy.max_claims = 3;
    let process = world.process("orders-1");
    let wanted = order("a", 2, "tok_ok");
    let saga = begin(&process, key("k", &wanted), wanted).await;
    let id = saga.order_id;
    world.remotes.expect(&[Fate::CrashAfter, Fate::CrashAfter, Fate::CrashAfter]);
    run(&world, &process, saga).await;
    recover(&world, "orders-1").await;
    let end = world.orders().get(id).await.unwrap().unwrap();
    assert_eq!(end.order.status, Status::Cancelled);
    assert!(end.reason.unwrap().contains("interrupted too often"));
    assert_eq!(world.remotes.calls().iter().filter(|call| **call == "reserve").count(), 3);
    world.check().await;
}
