//! Checks, protection, nodes and what comes back from rows.

use super::*;
use crate::model::check::{CheckAnswer, CheckDefinition, CheckKind, CheckStatus, MAX_OUTPUT, NODE_CHECK};
use crate::model::names::{CheckKey, CheckOwner};
use crate::model::node::NodeRegistration;
use crate::state::Dirty;

const TTL: Duration = Duration::from_secs(20);

fn ttl(id: &str) -> CheckDefinition {
    CheckDefinition::new(id, CheckKind::Ttl(TTL))
}

fn on(instance: &str, check: &str) -> CheckKey {
    CheckKey { owner: CheckOwner::Instance(key(instance)), id: check.into() }
}

fn stays(id: &str, checks: Vec<CheckDefinition>) -> Registration {
    Registration { lease: Lease::None, checks, ..instance(id, "a") }
}

#[test]
fn a_ttl_check_is_critical_until_it_is_reported_and_again_when_it_is_not() {
    let (mut state, mut clock) = (state(), Clock::new());
    state.add(stays("a-1", vec![ttl("")]), clock.0).unwrap();
    assert_eq!(state.seen("a-1", clock.0).instance.status, Status::Down);
    let check = on("a-1", "service:a-1");
    state.report_check(&check, CheckStatus::Passing, "fine", clock.0).unwrap();
    assert_eq!(state.seen("a-1", clock.0).instance.status, Status::Up);
    for _ in 0..5 {
        let now = clock.forward(TTL / 2);
        state.expire(now);
        state.report_check(&check, CheckStatus::Warning, "so so", now).unwrap();
    }
    assert_eq!(state.set_of("a").endpoints.len(), 1);
    state.expire(clock.forward(TTL));
    let view = state.check(&check).unwrap();
    assert_eq!((view.status, state.set_of("a").endpoints.len()), (CheckStatus::Critical, 0));
    assert!(view.output.contains("TTL"));
    state.deregister(&key("a-1"), Asker::Outside, clock.0).unwrap();
    assert_eq!((state.next_deadline(), state.check(&check)), (None, None));
}

#[test]
fn ids_are_those_that_consul_gives() {
    let (mut state, clock) = (state(), Clock::new());
    state.add(stays("one", vec![ttl("")]), clock.0).unwrap();
    state.add(stays("two", vec![ttl(""), ttl("mine"), ttl("")]), clock.0).unwrap();
    let ids = |state: &State, id: &str| -> Vec<String> {
        let entry = state.find(&key(id)).unwrap();
        entry.instance.checks.iter().map(|check| check.key.id.to_string()).collect()
    };
    assert_eq!(ids(&state, "one"), ["service:one"]);
    assert_eq!(ids(&state, "two"), ["service:two:1", "mine", "service:two:3"]);
    for id in ["service:two:1", "mine", "service:two:3", "service:one", NODE_CHECK] {
        let found = state.find_check(&Namespace::default(), state.own(), id).unwrap();
        assert_eq!(&*found.key.id, id);
    }
}

#[test]
fn another_output_wakes_nobody_but_is_seen() {
    let (mut state, clock) = (state(), Clock::new());
    state.add(stays("a-1", vec![ttl("c")]), clock.0).unwrap();
    state.report_check(&on("a-1", "c"), CheckStatus::Passing, "one", clock.0).unwrap();
    let before = state.snapshot(&name("a"));
    let long = "ä".repeat(MAX_OUTPUT);
    assert!(state.report_check(&on("a-1", "c"), CheckStatus::Passing, &long, clock.0).unwrap().is_empty());
    let after = state.snapshot(&name("a"));
    assert_eq!(after.index, before.index);
    let output = &after.entries[0].instance.checks[0].output;
    assert_eq!(output.len(), MAX_OUTPUT);
    assert_eq!(
        state.find(&key("a-1")).unwrap().instance.modify_index,
        before.entries[0].instance.modify_index
    );
}

#[test]
fn a_check_goes_on_with_what_it_knows_when_its_instance_registers_again() {
    let (mut state, clock) = (state(), Clock::new());
    state.add(stays("a-1", vec![ttl("c")]), clock.0).unwrap();
    state.report_check(&on("a-1", "c"), CheckStatus::Passing, "", clock.0).unwrap();
    state.put_check(&on("a-1", "").owner, ttl("later"), clock.0).unwrap();
    let again = Registration { keep_checks: true, port: 81, ..stays("a-1", vec![ttl("c")]) };
    state.add(again, clock.0).unwrap();
    assert_eq!(state.check(&on("a-1", "c")).unwrap().status, CheckStatus::Passing);
    assert!(state.check(&on("a-1", "later")).is_some());
    assert!(!state.is_repetition(&stays("a-1", vec![ttl("c")])));
    state.add(stays("a-1", vec![ttl("c")]), clock.0).unwrap();
    assert!(state.check(&on("a-1", "later")).is_none());
    assert!(state.is_repetition(&stays("a-1", vec![ttl("c")])));
}

#[test]
fn active_checks_are_asked_when_they_are_due_and_answers_to_the_dead_mean_nothing() {
    let (mut state, mut clock) = (state(), Clock::new());
    let tcp = CheckDefinition {
        failures_before_critical: 2,
        initial: CheckStatus::Passing,
        ..CheckDefinition::new("c", CheckKind::Tcp("10.0.0.1:80".into()))
    };
    state.add(stays("a-1", vec![tcp.clone()]), clock.0).unwrap();
    assert!(state.due_probes(clock.0, 9).is_empty(), "not all at once");
    let bad = CheckAnswer { status: CheckStatus::Critical, output: "refused".into() };
    for round in 0..2 {
        let now = clock.forward(tcp.interval);
        let due = state.due_probes(now, 9);
        assert_eq!(due.len(), 1);
        assert!(state.due_probes(now, 9).is_empty(), "asked once at a time");
        state.answer(due[0].slot, due[0].generation, &bad, now);
        assert_eq!(state.set_of("a").endpoints.len(), 1 - round);
    }
    let due = state.due_probes(clock.forward(tcp.interval), 9);
    state.deregister(&key("a-1"), Asker::Outside, clock.0).unwrap();
    state.add(stays("a-2", vec![tcp]), clock.0).unwrap();
    assert!(state.answer(due[0].slot, due[0].generation, &bad, clock.0).is_empty());
    assert_eq!(state.check(&on("a-2", "c")).unwrap().status, CheckStatus::Passing);
}

#[test]
fn critical_for_too_long_is_doomed() {
    let (mut state, mut clock) = (state(), Clock::new());
    let after = Duration::from_mins(1);
    let check = CheckDefinition { deregister_after: Some(after), ..ttl("c") };
    state.add(stays("a-1", vec![check]), clock.0).unwrap();
    assert!(state.doomed(clock.forward(after / 2).instant).is_empty());
    state.report_check(&on("a-1", "c"), CheckStatus::Passing, "", clock.0).unwrap();
    assert!(state.doomed(clock.forward(after).instant).is_empty());
    state.report_check(&on("a-1", "c"), CheckStatus::Critical, "", clock.0).unwrap();
    assert_eq!(state.doomed(clock.forward(after).instant), [key("a-1")]);
}

#[test]
fn a_mass_of_ended_leases_is_held_and_probes_still_count() {
    let protection = Options::default().protection;
    let options = Options { protection, max_instances: 100, ..options() };
    let mut clock = Clock::new();
    let mut state = State::new(&options, Overrides::default(), 0, clock.0);
    for n in 0..10 {
        let checks = if n == 0 { vec![ttl("c")] } else { Vec::new() };
        let registration = Registration { checks, ..instance(&format!("a-{n}"), "a") };
        state.add(registration, clock.0).unwrap();
    }
    state.report_check(&on("a-0", "c"), CheckStatus::Passing, "", clock.0).unwrap();
    let now = clock.forward(LEASE);
    let found = state.expire(now);
    assert_eq!((found.protected, state.set_of("a").endpoints.len()), (1, 10));
    let entry = state.find(&key("a-5")).unwrap();
    assert!(entry.instance.protected && !entry.instance.expired);
    assert!(state.find(&key("a-0")).unwrap().instance.protected, "those before are called back");
    // One comes back, one is found dead, one goes.
    state.renew(&key("a-1"), now).unwrap();
    state.report_check(&on("a-0", "c"), CheckStatus::Critical, "", now).unwrap();
    state.deregister(&key("a-2"), Asker::Outside, now).unwrap();
    assert_eq!(state.set_of("a").endpoints.len(), 8);
    assert!(!state.find(&key("a-1")).unwrap().instance.protected);
    for _ in 0..12 {
        let now = clock.forward(protection.hold / 12);
        state.renew(&key("a-1"), now).unwrap();
        state.expire(now);
    }
    assert_eq!(state.set_of("a").endpoints.len(), 1, "the deadline is over");
}

#[test]
fn a_node_has_its_instances_with_it() {
    let (mut state, clock) = (state(), Clock::new());
    let node: Name = "Db-1".parse().unwrap();
    let elsewhere = Registration { node: Some(node.clone()), host: "".into(), ..stays("a-1", vec![]) };
    assert!(matches!(state.add(elsewhere.clone(), clock.0), Err(crate::Error::UnknownNode(_))));
    state.put_node(NodeRegistration::new(node.clone(), "10.9.9.9"), clock.0).unwrap();
    state.add(elsewhere, clock.0).unwrap();
    state.add(stays("a-1", vec![]), clock.0).unwrap();
    let set = state.set_of("a");
    let seen: Vec<_> = set.endpoints.iter().map(|e| (e.id.as_str(), &*e.authority)).collect();
    assert_eq!(seen, [("a-1", "10.0.0.1:80"), ("a-1@Db-1", "10.9.9.9:80")]);
    // Another spelling is the same node; its address is where its instances are.
    state.put_node(NodeRegistration::new("db-1".parse().unwrap(), "10.9.9.8"), clock.0).unwrap();
    assert_eq!(&*state.set_of("a").endpoints[1].authority, "10.9.9.8:80");
    let owner = CheckOwner::Node(node.clone());
    let alive = CheckDefinition {
        initial: CheckStatus::Passing,
        ..CheckDefinition::new("alive", CheckKind::Reported)
    };
    state.put_check(&owner, alive, clock.0).unwrap();
    let before = state.snapshot(&name("a")).index;
    let check = CheckKey { owner, id: "alive".into() };
    state.report_check(&check, CheckStatus::Critical, "", clock.0).unwrap();
    assert!(state.snapshot(&name("a")).index > before);
    assert_eq!(state.set_of("a").endpoints.len(), 1);
    state.report_check(&check, CheckStatus::Passing, "", clock.0).unwrap();
    state.maintain_node(&node, Some("new disk".into()), clock.0).unwrap();
    assert_eq!(state.snapshot(&name("a")).entries.len(), 2);
    assert_eq!(state.set_of("a").endpoints.len(), 1);
    state.remove_node(&node, clock.0).unwrap();
    assert_eq!(state.snapshot(&name("a")).entries.len(), 1);
    assert_eq!(state.nodes().nodes.len(), 1);
    let own = state.own().clone();
    assert!(matches!(state.remove_node(&own, clock.0), Err(crate::Error::Own(_))));
}

#[test]
fn without_a_port_it_is_listed_but_no_endpoint() {
    let (mut state, clock) = (state(), Clock::new());
    state.add(Registration { port: 0, ..stays("a-1", vec![]) }, clock.0).unwrap();
    assert_eq!((state.snapshot(&name("a")).entries.len(), state.set_of("a").endpoints.len()), (1, 0));
}

#[test]
fn what_is_saved_comes_back_as_it_was() {
    let (mut one, mut clock) = (state(), Clock::new());
    let mut registration = Registration { checks: vec![ttl("c")], ..instance("a-1", "Web") };
    registration.tags = ["x", "y"].into_iter().collect();
    one.add(registration, clock.0).unwrap();
    one.put_check(&on("a-1", "").owner, ttl("later"), clock.0).unwrap();
    one.report_check(&on("a-1", "c"), CheckStatus::Passing, "fine", clock.0).unwrap();
    one.report_check(&on("a-1", "later"), CheckStatus::Warning, "so so", clock.0).unwrap();
    one.report(&key("a-1"), Status::Starting, clock.0).unwrap();
    one.maintain(&key("a-1"), Some("why".into()), clock.0).unwrap();
    assert_eq!(one.take_dirty(9), [Dirty::Instance(key("a-1"))]);
    let saved = one.save(&key("a-1")).unwrap();
    let text = serde_json::to_string(&saved).unwrap();
    let mut two = State::new(&options(), Overrides::default(), 1000, clock.forward(LEASE * 100));
    two.restore(serde_json::from_str(&text).unwrap(), clock.0).unwrap();
    let (before, after) = (one.find(&key("a-1")).unwrap(), two.find(&key("a-1")).unwrap());
    assert_eq!(after.instance.definition, before.instance.definition);
    assert_eq!(after.instance.maintenance, before.instance.maintenance);
    assert_eq!((after.instance.status, after.instance.reported), (Status::OutOfService, Status::Starting));
    let said = |entry: &crate::Entry| -> Vec<_> {
        let checks = entry.instance.checks.iter();
        checks.map(|c| (c.key.id.clone(), c.status, c.output.clone())).collect()
    };
    assert_eq!(said(&after), said(&before));
    assert_eq!(two.save(&key("a-1")), Some(saved));
    assert!(two.expire(clock.0).expired.is_empty(), "the lease is a fresh one");
    assert_eq!(two.expire(clock.forward(LEASE)).expired.len(), 1);
}
