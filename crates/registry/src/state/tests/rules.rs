use super::super::Override;
use super::*;
use crate::error::Error;

fn ids(state: &mut State, service: &str) -> Vec<String> {
    state.endpoints(&name(service)).endpoints.iter().map(|e| e.id.to_string()).collect()
}

fn say(state: &mut State, target: &About, status: Option<Status>, now: Now) -> Changed {
    state.set_override(target.clone(), status.map(|status| Override { status, since_unix_ms: 0 }), now)
}

#[test]
fn only_what_is_up_is_an_endpoint() {
    let (mut state, clock) = (state(), Clock::new());
    for (n, status) in Status::ALL.into_iter().enumerate() {
        state.add(Registration { status, ..instance(&format!("a-{n}"), "a") }, clock.0).unwrap();
    }
    assert_eq!(ids(&mut state, "a"), ["a-1"]);
    state.report(&key("a-0"), Status::Up, clock.0).unwrap();
    state.report(&key("a-1"), Status::Down, clock.0).unwrap();
    assert_eq!(ids(&mut state, "a"), ["a-0"]);
}

#[test]
fn a_heartbeat_or_the_same_registration_changes_nothing() {
    let (mut state, mut clock) = (state(), Clock::new());
    state.add(instance("a-1", "a"), clock.0).unwrap();
    let before = state.endpoints(&name("a"));
    let now = clock.forward(LEASE / 2);
    assert!(state.renew(&key("a-1"), now).unwrap().endpoints.is_empty());
    assert!(state.add(instance("a-1", "a"), now).unwrap().endpoints.is_empty());
    // Labels are no part of the endpoint set.
    let labelled =
        Registration { metadata: [("v".into(), "2".into())].into_iter().collect(), ..instance("a-1", "a") };
    assert!(state.add(labelled, now).unwrap().endpoints.is_empty());
    assert_eq!(state.endpoints(&name("a")), before);
    assert_eq!(state.seen("a-1", now).since_unix_ms, 0);
}

#[test]
fn an_expired_lease_is_seen_then_removed() {
    let (mut state, mut clock) = (state(), Clock::new());
    state.add(instance("a-1", "a"), clock.0).unwrap();
    assert_eq!(state.next_deadline(), Some(clock.0.instant + LEASE));
    let now = clock.forward(LEASE);
    let found = state.expire(now);
    assert_eq!((found.expired.len(), found.removed.len(), found.changed.endpoints.len()), (1, 0, 1));
    let seen = state.seen("a-1", now);
    assert_eq!(
        (seen.instance.status, seen.reported, seen.expires_in_ms),
        (Status::Down, Status::Down, Some(0))
    );
    assert_eq!(seen.since_unix_ms, now.unix_ms);
    let found = state.expire(clock.forward(KEEP));
    assert_eq!((found.expired.len(), found.removed.len(), found.changed.endpoints.len()), (0, 1, 0));
    assert_eq!((state.names().count(), state.next_deadline()), (0, None));
    assert!(matches!(state.renew(&key("a-1"), clock.0), Err(Error::UnknownInstance(_))));
}

#[test]
fn an_expired_instance_comes_back_by_renewing() {
    let (mut state, mut clock) = (state(), Clock::new());
    state.add(instance("a-1", "a"), clock.0).unwrap();
    // Stalled far beyond everything: it is still only expired, not removed.
    let now = clock.forward(LEASE + KEEP * 2);
    assert_eq!(state.expire(now).removed.len(), 0);
    assert_eq!(state.renew(&key("a-1"), now).unwrap().endpoints.len(), 1);
    assert_eq!(ids(&mut state, "a"), ["a-1"]);
    assert_eq!(state.seen("a-1", now).expires_in_ms, Some(LEASE.as_millis() as u64));
}

#[test]
fn managed_instances_do_not_expire_and_belong_to_the_platform() {
    let (mut state, mut clock) = (state(), Clock::new());
    let managed = Registration { lease: Lease::Managed, ..instance("a-1", "a") };
    // The platform may take over what registered itself, but not the other way round.
    state.add(instance("a-1", "a"), clock.0).unwrap();
    state.add(managed, clock.0).unwrap();
    assert_eq!(state.next_deadline(), None);
    assert!(matches!(state.add(instance("a-1", "b"), clock.0), Err(Error::Managed(_))));
    assert!(matches!(state.drop_as("a-1", Asker::Outside), Err(Error::Managed(_))));
    assert!(state.expire(clock.forward(LEASE * 100)).expired.is_empty());
    assert_eq!(state.seen("a-1", clock.0).expires_in_ms, None);
    state.drop_as("a-1", Asker::Platform).unwrap();
    assert!(matches!(state.drop_as("a-1", Asker::Platform), Err(Error::UnknownInstance(_))));
}

#[test]
fn the_operator_wins_until_taken_back() {
    let (mut state, clock) = (state(), Clock::new());
    let one = About::Instance(key("a-1"));
    state.add(instance("a-1", "a"), clock.0).unwrap();
    state.add(Registration { status: Status::Down, ..instance("a-2", "a") }, clock.0).unwrap();
    say(&mut state, &one, Some(Status::OutOfService), clock.0);
    say(&mut state, &About::Instance(key("a-2")), Some(Status::Up), clock.0);
    assert_eq!(ids(&mut state, "a"), ["a-2"]);
    // Neither a report, nor a heartbeat, nor coming back brings it in again.
    state.report(&key("a-1"), Status::Up, clock.0).unwrap();
    state.renew(&key("a-1"), clock.0).unwrap();
    state.drop_as("a-1", Asker::Outside).unwrap();
    assert!(state.add(instance("a-1", "a"), clock.0).unwrap().endpoints.is_empty());
    let seen = state.seen("a-1", clock.0);
    assert_eq!(seen.instance.status, Status::OutOfService);
    assert_eq!((seen.reported, seen.override_status), (Status::Up, Some(Status::OutOfService)));
    say(&mut state, &one, None, clock.0);
    assert_eq!(ids(&mut state, "a"), ["a-1", "a-2"]);
}

#[test]
fn what_is_said_of_an_instance_wins_over_its_service() {
    let (mut state, clock) = (state(), Clock::new());
    for n in 1..=3 {
        state.add(instance(&format!("a-{n}"), "a"), clock.0).unwrap();
    }
    say(&mut state, &About::Instance(key("a-2")), Some(Status::Up), clock.0);
    let before = state.index();
    let changed = say(&mut state, &About::Service(name("a")), Some(Status::OutOfService), clock.0);
    assert_eq!((changed.endpoints.len(), ids(&mut state, "a")), (1, vec!["a-2".to_owned()]));
    assert_eq!(state.endpoints(&name("a")).revision, before + 1, "one step, one revision");
    say(&mut state, &About::Service(name("a")), None, clock.0);
    assert_eq!(ids(&mut state, "a").len(), 3);
}

#[test]
fn an_id_that_moves_to_another_service_leaves_the_first() {
    let (mut state, clock) = (state(), Clock::new());
    state.add(instance("x", "a"), clock.0).unwrap();
    let changed = state.add(instance("x", "b"), clock.0).unwrap();
    assert_eq!(changed.endpoints, [name("a"), name("b")].into());
    assert_eq!((ids(&mut state, "a").len(), ids(&mut state, "b").len()), (0, 1));
    assert_eq!(state.names().collect::<Vec<_>>(), [&name("b")]);
}

#[test]
fn a_full_registry_still_takes_those_it_knows() {
    let (mut state, clock) = (state(), Clock::new());
    for n in 0..8 {
        state.add(instance(&format!("a-{n}"), "a"), clock.0).unwrap();
    }
    assert!(matches!(state.add(instance("a-8", "a"), clock.0), Err(Error::TooManyInstances(8))));
    assert!(state.add(instance("a-7", "b"), clock.0).is_ok());
}

#[test]
fn a_watched_service_keeps_its_revision_and_unknown_ones_are_few() {
    let (mut state, clock) = (state(), Clock::new());
    state.watch(&name("a")).unwrap();
    state.watch(&name("b")).unwrap();
    assert!(matches!(state.watch(&name("c")), Err(Error::TooManyWatches(2))));
    assert!(state.watch(&name("a")).is_ok());
    state.add(instance("a-1", "a"), clock.0).unwrap();
    state.drop_as("a-1", Asker::Outside).unwrap();
    assert_eq!(state.endpoints(&name("a")).revision, 3);
    state.unwatch(&name("a"));
    assert_eq!(state.endpoints(&name("a")).revision, 0);
    // Back again, it does not repeat a number that stood for another set.
    state.add(instance("a-1", "a"), clock.0).unwrap();
    assert_eq!(state.endpoints(&name("a")).revision, 4);
}
