//! Checks that say what is known of another, one by one.

use super::super::Override;
use super::*;
use crate::model::check::{CheckAnswer, CheckDefinition, CheckKind, CheckStatus};
use crate::model::names::{CheckKey, CheckOwner};
use crate::model::node::NodeRegistration;
use crate::model::snapshot::Changes;
use crate::state::Standing;
use CheckStatus::{Critical, Passing, Warning};

pub(super) fn of(instance: &str) -> CheckOwner {
    CheckOwner::Instance(key(instance))
}

pub(super) fn alias(id: &str, target: &CheckOwner) -> CheckDefinition {
    CheckDefinition::new(id, CheckKind::Alias(target.clone()))
}

pub(super) fn reported(id: &str) -> CheckDefinition {
    CheckDefinition { initial: Passing, ..CheckDefinition::new(id, CheckKind::Reported) }
}

fn with(id: &str, checks: Vec<CheckDefinition>) -> Registration {
    Registration { lease: Lease::None, checks, ..instance(id, id) }
}

pub(super) fn said(state: &State, owner: &CheckOwner, id: &str) -> (CheckStatus, String) {
    let view = state.check(&CheckKey { owner: owner.clone(), id: id.into() }).expect("a check");
    (view.status, view.output.to_string())
}

#[test]
fn an_alias_says_the_worst_of_its_target_and_that_there_is_none() {
    let (mut state, clock) = (state(), Clock::new());
    let now = clock.0;
    state.add(with("proxy", vec![alias("a", &of("web"))]), now).unwrap();
    assert_eq!(
        said(&state, &of("proxy"), "a"),
        (Critical, format!("instance {} is not registered", key("web")))
    );
    state.add(with("web", vec![]), now).unwrap();
    assert_eq!(said(&state, &of("proxy"), "a").0, Passing, "nobody says anything of it");
    assert_eq!(state.seen("proxy", now).instance.status, Status::Up);
    for id in ["one", "two"] {
        state.put_check(&of("web"), reported(id), now).unwrap();
    }
    let check = |id: &str| CheckKey { owner: of("web"), id: id.into() };
    state.report_check(&check("one"), Warning, "", now).unwrap();
    assert_eq!(said(&state, &of("proxy"), "a"), (Warning, format!("{} is warning", check("one"))));
    let changed = state.report_check(&check("two"), Critical, "", now).unwrap();
    assert_eq!(said(&state, &of("proxy"), "a"), (Critical, format!("{} is critical", check("two"))));
    let told: Vec<_> = changed.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(told, ["proxy", "web"], "both in one step");
    assert_eq!(state.set_of("proxy").endpoints.len(), 0);
    state.remove_check(&check("two"), now).unwrap();
    assert_eq!(said(&state, &of("proxy"), "a").0, Warning);
    state.deregister(&key("web"), Asker::Outside, now).unwrap();
    assert_eq!(said(&state, &of("proxy"), "a").0, Critical);
}

#[test]
fn what_is_no_check_counts_as_well() {
    let (mut state, clock) = (state(), Clock::new());
    let now = clock.0;
    state.add(with("web", vec![]), now).unwrap();
    state.add(with("proxy", vec![alias("a", &of("web"))]), now).unwrap();
    let about = || About::Service(name("web"));
    let word = |status| Some(Override { status, since_unix_ms: 0 });
    let seen = |state: &State| said(state, &of("proxy"), "a").0;
    state.maintain(&key("web"), Some("disk".into()), now).unwrap();
    assert_eq!(seen(&state), Critical);
    state.maintain(&key("web"), None, now).unwrap();
    assert_eq!(seen(&state), Passing);
    state.report(&key("web"), Status::Starting, now).unwrap();
    assert_eq!(seen(&state), Critical);
    state.set_override(about(), word(Status::Up), now);
    assert_eq!(seen(&state), Passing, "the operator knows better");
    state.maintain(&key("web"), Some("disk".into()), now).unwrap();
    assert_eq!(seen(&state), Critical, "though the instance is UP");
    state.maintain(&key("web"), None, now).unwrap();
    assert_eq!(seen(&state), Passing);
    state.set_override(about(), word(Status::Down), now);
    assert_eq!(seen(&state), Critical);
}

#[test]
fn the_reason_is_that_of_now() {
    let (mut state, clock) = (state(), Clock::new());
    let now = clock.0;
    state.add(with("web", vec![alias("a", &of("db"))]), now).unwrap();
    state.add(with("proxy", vec![alias("a", &of("web"))]), now).unwrap();
    let why = |state: &State| said(state, &of("proxy"), "a").1;
    assert_eq!(why(&state), format!("instance {} is not registered", key("db")));
    let down = Override { status: Status::Down, since_unix_ms: 0 };
    state.set_override(About::Service(name("web")), Some(down), now);
    assert_eq!(why(&state), format!("instance {} is DOWN", key("web")));
    state.set_override(About::Service(name("web")), None, now);
    assert_eq!(why(&state), format!("instance {} is not registered", key("db")));
    // One that nobody reaches and nobody checks.
    state.add(Registration { port: 0, ..with("db", vec![]) }, now).unwrap();
    assert_eq!(why(&state), format!("nothing is wrong with instance {}", key("web")));
}

#[test]
fn maintenance_that_rows_tell_of_counts_whatever_the_operator_says() {
    let clock = Clock::new();
    let now = clock.0;
    let node = || NodeRegistration::new("far".parse().unwrap(), "10.0.0.9");
    let far = CheckOwner::Node(node().name);
    let mut one = state();
    one.share(&"one".into());
    one.add(with("web", vec![]), now).unwrap();
    one.put_node(node(), now).unwrap();
    let rows = |one: &State| (one.save(&key("web")).unwrap(), one.save_node(&node().name).unwrap());
    let (plain, plain_node) = rows(&one);
    one.maintain(&key("web"), Some("disk".into()), now).unwrap();
    one.maintain_node(&node().name, Some("disk".into()), now).unwrap();
    let (out, out_node) = rows(&one);
    let reader = || {
        let mut two = state();
        two.share(&"two".into());
        let up = Override { status: Status::Up, since_unix_ms: 0 };
        two.set_override(About::Service(name("web")), Some(up), now);
        two.add(with("proxy", vec![alias("i", &of("web")), alias("n", &far)]), now).unwrap();
        two
    };
    let both = |two: &State| (said(two, &of("proxy"), "i").0, said(two, &of("proxy"), "n").0);
    let mut two = reader();
    two.restore_node(out_node.clone(), now).unwrap();
    two.restore(out.clone(), now).unwrap();
    assert_eq!(both(&two), (Critical, Critical));
    let mut two = reader();
    for (revision, instance, node, expected) in
        [(1, &plain, &plain_node, Passing), (2, &out, &out_node, Critical), (3, &plain, &plain_node, Passing)]
    {
        let standing = || Standing { revision, holder: "one".into() };
        two.take_node(node.clone(), standing(), now);
        two.take_instance(instance.clone(), standing(), now);
        assert_eq!(both(&two), (expected, expected));
    }
}

#[test]
fn an_alias_of_a_node_and_one_of_what_is_on_it() {
    let (mut state, clock) = (state(), Clock::new());
    let now = clock.0;
    let there: Name = "db-1".parse().unwrap();
    let on_it = InstanceKey { node: there.clone(), ..key("db") };
    let checks = vec![
        alias("n", &CheckOwner::Node("DB-1".parse().unwrap())),
        alias("i", &CheckOwner::Instance(on_it.clone())),
    ];
    state.add(with("proxy", checks), now).unwrap();
    let both = |state: &State| (said(state, &of("proxy"), "n").0, said(state, &of("proxy"), "i").0);
    assert_eq!(both(&state), (Critical, Critical));
    state.put_node(NodeRegistration::new(there.clone(), "10.0.0.9"), now).unwrap();
    assert_eq!(both(&state), (Passing, Critical));
    let db = Registration { node: Some(there.clone()), checks: vec![reported("c")], ..with("db", vec![]) };
    state.add(db, now).unwrap();
    assert_eq!(both(&state), (Passing, Passing));
    let check = CheckKey { owner: CheckOwner::Instance(on_it), id: "c".into() };
    state.report_check(&check, Critical, "", now).unwrap();
    assert_eq!(both(&state), (Passing, Critical), "a node is not what is on it");
    state.report_check(&check, Passing, "", now).unwrap();
    state.maintain_node(&there, Some("disk".into()), now).unwrap();
    assert_eq!(both(&state), (Critical, Critical));
    state.maintain_node(&there, None, now).unwrap();
    assert_eq!(both(&state), (Passing, Passing));
    state.remove_node(&there, now).unwrap();
    assert_eq!(both(&state), (Critical, Critical));
}

#[test]
fn a_circle_says_what_its_members_say_and_gets_well_again() {
    let (mut state, clock) = (state(), Clock::new());
    let now = clock.0;
    let ids = ["x", "y", "z"];
    for (n, id) in ids.into_iter().enumerate() {
        let checks = vec![reported("c"), alias("a", &of(ids[(n + 1) % 3])), alias("self", &of(id))];
        state.add(with(id, checks), now).unwrap();
    }
    let all = |state: &State| ids.map(|id| said(state, &of(id), "a").0);
    assert_eq!(all(&state), [Passing; 3]);
    for status in [Warning, Critical, Passing] {
        let check = CheckKey { owner: of("y"), id: "c".into() };
        state.report_check(&check, status, "", now).unwrap();
        assert_eq!(all(&state), [status; 3]);
        assert_eq!(said(&state, &of("y"), "self").0, status);
    }
}

#[test]
fn one_that_leads_on_without_end_is_critical() {
    let options = Options { max_instances: 100, ..options() };
    let (mut state, clock) = (State::new(&options, Overrides::default(), 0, Clock::new().0), Clock::new());
    state.add(with("i-0", vec![]), clock.0).unwrap();
    for n in 1..80 {
        let next = of(&format!("i-{}", n - 1));
        state.add(with(&format!("i-{n}"), vec![alias("a", &next)]), clock.0).unwrap();
    }
    // The node is one of those that are looked at.
    let said = |n: usize| said(&state, &of(&format!("i-{n}")), "a").0;
    assert_eq!((said(63), said(64), said(79)), (Passing, Critical, Critical));
}

#[test]
fn nobody_reports_asks_or_writes_down_what_an_alias_says() {
    let (mut state, mut clock) = (state(), Clock::new());
    let lasting = |id: &str, checks| Registration { checks, ..with(id, vec![]) };
    state.add(lasting("web", vec![reported("c")]), clock.0).unwrap();
    state.add(lasting("proxy", vec![alias("a", &of("web"))]), clock.0).unwrap();
    let key_of = |owner: &str, id: &str| CheckKey { owner: of(owner), id: id.into() };
    let refused = state.report_check(&key_of("proxy", "a"), Passing, "", clock.0);
    assert!(matches!(refused, Err(crate::Error::NotReported(_))));
    state.take_dirty(9);
    state.report_check(&key_of("web", "c"), Critical, "", clock.0).unwrap();
    assert_eq!(state.take_dirty(9), [crate::state::Dirty::Instance(key("web"))]);
    let saved = state.save(&key("proxy")).unwrap();
    assert_eq!((saved.checks.len(), saved.registration.checks.len()), (0, 1));
    let later = clock.forward(LEASE * 100);
    assert!(state.due_probes(later, 9).is_empty());
    assert!(state.answer(0, 0, &CheckAnswer { status: Passing, output: String::new() }, later).is_empty());
    // Critical for too long, its instance goes like any other.
    let check = CheckDefinition { deregister_after: Some(LEASE * 6), ..alias("a", &of("web")) };
    state.add(lasting("proxy", vec![check]), clock.0).unwrap();
    assert_eq!(state.doomed(clock.forward(LEASE * 6).instant), [key("proxy")]);
}

#[test]
fn followers_of_changes_see_how_a_step_ended() {
    let (mut state, clock) = (state(), Clock::new());
    let start = state.index();
    state.add(with("x", vec![alias("a", &of("y"))]), clock.0).unwrap();
    state.add(with("y", vec![alias("a", &of("x"))]), clock.0).unwrap();
    let Changes::Since(changes) = state.changes_since(start) else { panic!("too far") };
    let seen: Vec<_> = changes.iter().map(|c| (c.instance.id().as_str(), c.instance.status)).collect();
    assert_eq!(seen, [("x", Status::Up), ("y", Status::Up)]);
}
