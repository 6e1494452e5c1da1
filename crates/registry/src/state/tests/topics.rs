//! Each topic has an index of its own.

use super::*;
use crate::model::check::{CheckDefinition, CheckKind, CheckStatus};
use crate::model::names::{CheckKey, CheckOwner};
use crate::model::snapshot::{ChangeKind, Changes};
use crate::model::topic::Topic;

fn indexes(state: &State) -> Vec<u64> {
    let own = state.own().clone();
    let topics = [
        Topic::Service(name("a")),
        Topic::Service(name("b")),
        Topic::Services(Namespace::default()),
        Topic::Nodes,
        Topic::Node(own.clone()),
        Topic::NodeChecks(own),
        Topic::ChecksOfService(name("a")),
        Topic::State(None),
        Topic::Agent,
        Topic::All,
    ];
    topics.iter().map(|topic| state.topic_index(topic)).collect()
}

/// Which of [`indexes`] the step raised.
fn raised(state: &mut State, step: impl FnOnce(&mut State)) -> Vec<usize> {
    let before = indexes(state);
    step(state);
    let after = indexes(state);
    (0..before.len()).filter(|n| after[*n] > before[*n]).collect()
}

#[test]
fn a_change_raises_what_it_is_about_and_nothing_else() {
    let (mut state, clock) = (state(), Clock::new());
    state.add(instance("b-1", "b"), clock.0).unwrap();
    assert_eq!(raised(&mut state, |s| drop(s.add(instance("a-1", "a"), clock.0))), [0, 2, 4, 8, 9]);
    assert!(raised(&mut state, |s| drop(s.renew(&key("a-1"), clock.0))).is_empty());
    let down = raised(&mut state, |s| drop(s.report(&key("a-1"), Status::Down, clock.0)));
    assert_eq!(down, [0, 4, 8, 9], "the list of services is not about statuses");
    let owner = CheckOwner::Instance(key("a-1"));
    let check = CheckDefinition::new("c", CheckKind::Reported);
    let put = raised(&mut state, |s| drop(s.put_check(&owner, check, clock.0)));
    assert_eq!(put, [0, 4, 5, 6, 7, 8, 9]);
    let check = CheckKey { owner, id: "c".into() };
    let told = raised(&mut state, |s| drop(s.report_check(&check, CheckStatus::Passing, "x", clock.0)));
    assert_eq!(told, [0, 4, 5, 6, 7, 8, 9]);
    let output = raised(&mut state, |s| drop(s.report_check(&check, CheckStatus::Passing, "y", clock.0)));
    assert!(output.is_empty());
}

#[test]
fn an_index_never_goes_back_when_something_goes_and_comes_again() {
    let (mut state, clock) = (state(), Clock::new());
    let topic = Topic::Service(name("a"));
    let unknown = state.topic_index(&topic);
    assert!(unknown >= 1);
    state.add(instance("a-1", "a"), clock.0).unwrap();
    let known = state.topic_index(&topic);
    state.drop_as("a-1", Asker::Outside).unwrap();
    let gone = state.topic_index(&topic);
    state.add(instance("a-1", "a"), clock.0).unwrap();
    let again = state.topic_index(&topic);
    assert!(unknown < known && known < gone && gone < again);
    assert_eq!(state.snapshot(&name("a")).index, again);
}

#[test]
fn names_are_one_in_any_case() {
    let (mut state, clock) = (state(), Clock::new());
    state.add(instance("a-1", "Web"), clock.0).unwrap();
    state.add(instance("a-2", "WEB"), clock.0).unwrap();
    let snapshot = state.snapshot(&name("web"));
    assert_eq!((snapshot.entries.len(), snapshot.key.name.as_str()), (2, "Web"));
    assert_eq!(state.catalog(&Namespace::default()).services.len(), 1);
}

#[test]
fn namespaces_do_not_see_each_other() {
    let (mut state, clock) = (state(), Clock::new());
    let other: Namespace = "team-b".parse().unwrap();
    state.add(instance("a-1", "a"), clock.0).unwrap();
    let there = Registration { namespace: other.clone(), ..instance("a-1", "a") };
    state.add(there, clock.0).unwrap();
    assert_eq!((state.count().instances, state.count().services), (2, 2));
    assert_eq!(state.snapshot(&name("a")).entries.len(), 1);
    assert_eq!(state.namespaces(), [Namespace::default(), other]);
}

#[test]
fn tags_of_all_instances_are_in_the_catalog_once() {
    let (mut state, clock) = (state(), Clock::new());
    for (id, tags) in [("a-1", vec!["x", "y"]), ("a-2", vec!["y", "z"])] {
        let tags = tags.into_iter().collect();
        state.add(Registration { tags, ..instance(id, "a") }, clock.0).unwrap();
    }
    let catalog = state.catalog(&Namespace::default());
    assert_eq!(catalog.services[&name("a").name].iter().collect::<Vec<_>>(), ["x", "y", "z"]);
    assert!(std::sync::Arc::ptr_eq(&catalog, &state.catalog(&Namespace::default())));
}

#[test]
fn changes_are_told_from_an_index_on_as_far_back_as_they_are_kept() {
    let (mut state, clock) = (
        State::new(&Options { max_changes: 4, ..options() }, Overrides::default(), 0, Clock::new().0),
        Clock::new(),
    );
    let start = state.index();
    state.add(instance("a-1", "a"), clock.0).unwrap();
    state.report(&key("a-1"), Status::Down, clock.0).unwrap();
    state.add(instance("a-2", "a"), clock.0).unwrap();
    state.drop_as("a-2", Asker::Outside).unwrap();
    let Changes::Since(all) = state.changes_since(start) else { panic!("too far") };
    let seen: Vec<_> = all.iter().map(|c| (c.instance.id().as_str(), c.kind)).collect();
    assert_eq!(seen, [("a-1", ChangeKind::Added), ("a-2", ChangeKind::Removed)]);
    assert_eq!(all[0].instance.status, Status::Down);
    state.report(&key("a-1"), Status::Up, clock.0).unwrap();
    assert_eq!(state.changes_since(start), Changes::Resync);
    assert_eq!(state.changes_since(state.index() + 1), Changes::Resync);
    assert_eq!(state.changes_since(state.index()), Changes::Since(Vec::new()));
}
