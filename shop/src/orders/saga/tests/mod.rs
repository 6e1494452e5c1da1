//! The saga as a state machine.

mod any_fault;
mod each_fault;

use tokio::sync::oneshot;

use super::Saga;
use super::driver::{Outcome, Report};
use crate::orders::model::NewOrder;
use crate::orders::repository::{Begun, Key};
use crate::orders::testing::{Process, World};

/// How a piece of work left off.
enum Left {
    /// It ran to its end.
    Ended,
    /// Its process died.
    Crashed,
}

fn key(text: &str, order: &NewOrder) -> Key {
    Key { text: text.into(), fingerprint: order.fingerprint() }
}

async fn begin(process: &Process, key: Key, order: NewOrder) -> Saga {
    match process.journal.begin(Some(key), order, "alice@example.com".into()).await.unwrap() {
        Begun::Started(saga) => saga,
        Begun::Known(answer) => panic!("the key is in use: {answer:?}"),
    }
}

/// Runs a saga as the process does, until it ends or the process dies. A stall counts as death here.
async fn run(world: &World, process: &Process, saga: Saga) -> (Left, Option<Outcome>) {
    let (report, outcome) = Report::channel();
    let left = tokio::select! {
        () = process.driver.run(saga, report) => Left::Ended,
        () = world.remotes.crashed.notified() => Left::Crashed,
        () = world.remotes.stalled.notified() => Left::Crashed,
    };
    (left, told(outcome))
}

fn told(mut outcome: oneshot::Receiver<Outcome>) -> Option<Outcome> {
    outcome.try_recv().ok()
}

/// Runs the program as `instance`, again after each crash, until no work is left.
async fn recover(world: &World, instance: &str) {
    for _ in 0..200 {
        let process = world.process(instance);
        loop {
            let sagas = process.journal.claim_due(10).await.unwrap();
            if sagas.is_empty() {
                break;
            }
            for saga in sagas {
                if let (Left::Crashed, _) = run(world, &process, saga).await {
                    break;
                }
            }
        }
        if world.count("SELECT COUNT(*) FROM orders_sagas").await == 0 {
            return;
        }
        world.pass_lease();
    }
    panic!("the orders do not come to an end");
}
