//! Any faults at all: when the dust has settled, stock, money and orders agree, and every client was told the truth.

use std::time::Duration;

use proptest::prelude::*;

use super::super::driver::{Outcome, Report};
use super::{begin, key, recover, told};
use crate::codes::ORDER_TAKEN_OVER;
use crate::orders::model::{NewOrder, Status};
use crate::orders::repository::CancelBegun;
use crate::orders::testing::{Fate, TABLES, World, order};
use crate::testing::Database;

/// One order and all that goes wrong with it.
#[derive(Debug, Clone)]
struct Case {
    order: NewOrder,
    script: Vec<Fate>,
    /// After a crash another instance goes on, not the same again.
    moves: bool,
    /// It is cancelled afterwards, and this goes wrong then.
    cancel: Option<Vec<Fate>>,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Fine),
        2 => Just(Fate::Unsent),
        2 => Just(Fate::Lost),
        2 => Just(Fate::AnswerLost),
        2 => Just(Fate::Late),
        1 => Just(Fate::CrashBefore),
        1 => Just(Fate::CrashAfter),
        1 => Just(Fate::Stall),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let sku = prop_oneof![3 => Just("a"), 3 => Just("b"), 1 => Just("zzz")];
    let token = prop_oneof![5 => Just("tok_ok"), 1 => Just("tok_declined")];
    let cancel = proptest::option::weighted(0.3, proptest::collection::vec(fate(), 0..4));
    (sku, 1..3_i64, token, proptest::collection::vec(fate(), 0..9), any::<bool>(), cancel).prop_map(
        |(sku, quantity, token, script, moves, cancel)| Case {
            order: order(sku, quantity, token),
            script,
            moves,
            cancel,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_done_twice(
        cases in proptest::collection::vec(case(), 1..5),
        is_patient in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(cases, is_patient));
    }
}

async fn play(cases: Vec<Case>, is_patient: bool) {
    let database = Database::sqlite_in_memory(TABLES).await;
    // Patience for every fault of a script, or for none.
    let patience = Duration::from_secs(if is_patient { 60 } else { 0 });
    let world = World::new(database.store.clone(), patience).await;
    for (number, case) in cases.into_iter().enumerate() {
        let name = format!("key-{number}");
        let (id, outcome) = place(&world, &name, &case).await;
        world.check().await;
        tell_the_truth(&world, &name, &case.order, id, outcome).await;
        if let Some(script) = &case.cancel {
            cancel(&world, id, script).await;
            world.check().await;
        }
    }
    world.remotes.deliver_late().await;
    world.check().await;
    let posted = world.count("SELECT COUNT(DISTINCT key) FROM orders_outbox").await;
    assert_eq!(posted, world.count("SELECT COUNT(*) FROM orders_outbox").await, "one mail for each order");
}

/// Places the order through everything that goes wrong; its id, and what the client was told if anything.
async fn place(world: &World, name: &str, case: &Case) -> (i64, Option<Outcome>) {
    let first = world.process("orders-1");
    let saga = begin(&first, key(name, &case.order), case.order.clone()).await;
    let id = saga.order_id;
    world.remotes.expect(&case.script);
    let (report, outcome) = Report::channel();
    let mut work = Box::pin(first.driver.run(saga, report));
    let (ended, stalled) = tokio::select! {
        () = &mut work => (true, false),
        () = world.remotes.crashed.notified() => (false, false),
        () = world.remotes.stalled.notified() => (false, true),
    };
    if ended {
        drop(work);
        recover(world, "orders-1").await;
    } else if stalled {
        // Everybody else finishes first; then it wakes up.
        world.pass_lease();
        recover(world, "orders-2").await;
        world.remotes.resume.notify_one();
        tokio::select! {
            () = work => {}
            () = world.remotes.crashed.notified() => {}
            () = world.remotes.stalled.notified() => {}
        }
        recover(world, "orders-2").await;
    } else {
        drop(work);
        if case.moves {
            world.pass_lease();
        }
        recover(world, if case.moves { "orders-2" } else { "orders-1" }).await;
    }
    world.remotes.expect(&[]);
    (id, told(outcome))
}

/// What the client was told, and will be told under its key, is what is.
async fn tell_the_truth(world: &World, name: &str, order: &NewOrder, id: i64, outcome: Option<Outcome>) {
    let end = world.orders().get(id).await.unwrap().unwrap();
    let known = world.keys().find(&key(name, order)).await.unwrap();
    let answer = known.map(|known| known.answer(&key(name, order)));
    match outcome {
        Some(Outcome::Completed(told)) => assert_eq!(told, end),
        Some(Outcome::Failed(error)) if error.code() == ORDER_TAKEN_OVER => {}
        Some(Outcome::Failed(error)) => {
            assert_eq!(end.order.status, Status::Cancelled, "{error}");
            if error.status() != 503 {
                let again = answer.as_ref().expect("a refusal is kept").as_ref().unwrap_err();
                assert_eq!(again.code(), error.code());
            }
        }
        Some(Outcome::Undone | Outcome::Undoing) => panic!("nobody asked to cancel"),
        None => {}
    }
    match end.order.status {
        Status::Completed => assert_eq!(answer.expect("a success is kept").unwrap(), end),
        Status::Cancelled => assert!(!matches!(answer, Some(Ok(_))), "a cancelled order was never promised"),
        Status::Pending => panic!("it has not ended"),
    }
}

async fn cancel(world: &World, id: i64, script: &[Fate]) {
    let process = world.process("orders-1");
    world.remotes.expect(script);
    match process.journal.begin_cancel(id, "cancelled on request".into()).await.unwrap() {
        CancelBegun::Started(saga) => drop(super::run(world, &process, saga).await),
        CancelBegun::AlreadyCancelled(order) => assert_eq!(order.order.status, Status::Cancelled),
        CancelBegun::Missing | CancelBegun::Placing | CancelBegun::Cancelling => panic!("nobody works on it"),
    }
    recover(world, "orders-1").await;
    world.remotes.expect(&[]);
    assert_eq!(world.orders().get(id).await.unwrap().unwrap().order.status, Status::Cancelled);
}
