//! Checks that say what is known of another, against a model that looks everywhere anew after each step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::Override;
use super::aliases::{alias, of, reported, said};
use super::*;
use crate::model::check::{CheckDefinition, CheckStatus};
use crate::model::names::{CheckKey, CheckOwner};
use crate::model::node::NodeRegistration;
use crate::model::snapshot::Changes;
use crate::state::{SavedInstance, Standing};
use CheckStatus::{Critical, Passing, Warning};

/// Instances 0 to 3 are on the own node, 4 and 5 on another.
const INSTANCES: u8 = 6;
const OTHER: &str = "other";

#[derive(Debug, Clone)]
enum Step {
    Register { n: u8, to: Option<u8>, initial: CheckStatus },
    Deregister(u8),
    Alias { from: u8, to: u8, id: u8 },
    NoAlias { from: u8, id: u8 },
    Report { n: u8, status: CheckStatus },
    Say { n: u8, status: Status },
    Maintain { n: u8, on: bool },
    Override { n: u8, status: Option<Status> },
    OverrideService { n: u8, status: Option<Status> },
    PutNode,
    RemoveNode,
    Wait,
}

/// An owner by number: the instances, then the own node and the other.
fn owner(n: u8) -> CheckOwner {
    match n {
        0..4 => of(&format!("i-{n}")),
        4..INSTANCES => {
            CheckOwner::Instance(InstanceKey { node: OTHER.parse().unwrap(), ..key(&format!("i-{n}")) })
        }
        INSTANCES => CheckOwner::Node(options().node.name),
        _ => CheckOwner::Node(OTHER.parse().unwrap()),
    }
}

fn instance_of(n: u8) -> InstanceKey {
    match owner(n) {
        CheckOwner::Instance(key) => key,
        CheckOwner::Node(_) => panic!("{n} is a node"),
    }
}

#[derive(Default, Clone)]
struct Known {
    base: Option<CheckStatus>,
    aliases: BTreeMap<u8, u8>,
    status: Option<Status>,
    deadline: Option<Instant>,
    expired: bool,
    maintenance: bool,
}

struct Model {
    owners: BTreeMap<u8, Known>,
    said: BTreeMap<u8, Status>,
    said_of_service: BTreeMap<u8, Status>,
}

impl Default for Model {
    fn default() -> Self {
        let known = Known { base: Some(Passing), ..Known::default() };
        Self { owners: [(INSTANCES, known)].into(), said: BTreeMap::new(), said_of_service: BTreeMap::new() }
    }
}

impl Model {
    /// What the operator says of everybody, and of whom he says nothing.
    fn overrides(&self) -> Vec<(About, Option<Status>)> {
        let of_instances =
            (0..INSTANCES).map(|n| (About::Instance(instance_of(n)), self.said.get(&n).copied()));
        let of_service = |n: u8| About::Service(name(&format!("s{n}")));
        let of_services = (0..3).map(|n| (of_service(n), self.said_of_service.get(&n).copied()));
        of_instances.chain(of_services).collect()
    }

    fn node_of(n: u8) -> u8 {
        if n < 4 { INSTANCES } else { INSTANCES + 1 }
    }

    /// What is known of all to which one comes from here.
    fn worst(&self, n: u8, seen: &mut BTreeSet<u8>) -> CheckStatus {
        if !seen.insert(n) {
            return Passing;
        }
        let Some(known) = self.owners.get(&n) else { return Critical };
        let mut worst = known.base.unwrap_or(Passing);
        if known.maintenance {
            worst = Critical;
        }
        if n < INSTANCES {
            let alive = if known.expired { Status::Down } else { known.status.unwrap() };
            let word = self.said.get(&n).or_else(|| self.said_of_service.get(&(n % 3)));
            if *word.unwrap_or(&alive) != Status::Up {
                worst = Critical;
            }
            worst = worst.max(self.worst(Self::node_of(n), seen));
        }
        known.aliases.values().fold(worst, |worst, to| worst.max(self.worst(*to, seen)))
    }

    fn said_by(&self, n: u8) -> BTreeMap<u8, CheckStatus> {
        self.owners[&n].aliases.iter().map(|(id, to)| (*id, self.worst(*to, &mut BTreeSet::new()))).collect()
    }

    /// All checks of it.
    fn own(&self, n: u8) -> CheckStatus {
        let aliases = self.said_by(n).into_values().max();
        self.owners[&n].base.max(aliases).unwrap_or(Passing)
    }

    /// What an instance is in the end.
    fn status(&self, n: u8) -> Status {
        let (known, node) = (&self.owners[&n], &self.owners[&Self::node_of(n)]);
        let word = self.said.get(&n).or_else(|| self.said_of_service.get(&(n % 3)));
        let alive = if known.expired { Status::Down } else { known.status.unwrap() };
        let health = self.own(n).max(self.own(Self::node_of(n)));
        word.copied().unwrap_or(match () {
            () if known.maintenance || node.maintenance => Status::OutOfService,
            () if health == Critical => Status::Down,
            () => alive,
        })
    }
}

fn take(step: &Step, state: &mut State, model: &mut Model, clock: &mut Clock) -> Changed {
    let now = clock.0;
    let word = |status: Option<Status>| status.map(|status| Override { status, since_unix_ms: 0 });
    match *step {
        Step::Register { n, to, initial } => {
            let mut checks = vec![CheckDefinition { initial, ..reported("c") }];
            checks.extend(to.map(|to| alias("9", &owner(to))));
            let key = instance_of(n);
            let service = name(&format!("s{}", n % 3)).name;
            let registration = Registration {
                node: Some(key.node),
                service,
                checks,
                keep_checks: true,
                ..instance(key.id.as_str(), "s")
            };
            let result = state.add(registration, now);
            assert_eq!(result.is_ok(), model.owners.contains_key(&Model::node_of(n)));
            if result.is_ok() {
                let known = model.owners.entry(n).or_default();
                known.base.get_or_insert(initial);
                known.aliases.remove(&9);
                known.aliases.extend(to.map(|to| (9, to)));
                (known.status, known.expired) = (Some(Status::Up), false);
                known.deadline = Some(now.instant + LEASE);
            }
            result.unwrap_or_default()
        }
        Step::Deregister(n) => {
            let result = state.deregister(&instance_of(n), Asker::Outside, now);
            assert_eq!(result.is_ok(), model.owners.remove(&n).is_some());
            result.unwrap_or_default()
        }
        Step::Alias { from, to, id } => {
            let result = state.put_check(&owner(from), alias(&id.to_string(), &owner(to)), now);
            let known = model.owners.get_mut(&from);
            assert_eq!(result.is_ok(), known.is_some());
            known.map(|known| known.aliases.insert(id, to));
            result.unwrap_or_default()
        }
        Step::NoAlias { from, id } => {
            let result = state.remove_check(&CheckKey { owner: owner(from), id: id.to_string().into() }, now);
            let removed = model.owners.get_mut(&from).and_then(|known| known.aliases.remove(&id));
            assert_eq!(result.is_ok(), removed.is_some());
            result.unwrap_or_default()
        }
        Step::Report { n, status } => {
            let result = state.report_check(&CheckKey { owner: owner(n), id: "c".into() }, status, "", now);
            let told = model.owners.get_mut(&n).map(|known| known.base = Some(status));
            assert_eq!(result.is_ok(), told.is_some());
            result.unwrap_or_default()
        }
        Step::Say { n, status } => {
            let result = state.report(&instance_of(n), status, now);
            let told = model.owners.get_mut(&n).map(|known| known.status = Some(status));
            assert_eq!(result.is_ok(), told.is_some());
            result.unwrap_or_default()
        }
        Step::Maintain { n, on } => {
            let why = on.then(|| "why".into());
            let result = match owner(n) {
                CheckOwner::Instance(key) => state.maintain(&key, why, now),
                CheckOwner::Node(name) => state.maintain_node(&name, why, now),
            };
            let told = model.owners.get_mut(&n).map(|known| known.maintenance = on);
            assert_eq!(result.is_ok(), told.is_some());
            result.unwrap_or_default()
        }
        Step::Override { n, status } => {
            model.said.remove(&n);
            model.said.extend(status.map(|status| (n, status)));
            state.set_override(About::Instance(instance_of(n)), word(status), now)
        }
        Step::OverrideService { n, status } => {
            model.said_of_service.remove(&n);
            model.said_of_service.extend(status.map(|status| (n, status)));
            state.set_override(About::Service(name(&format!("s{n}"))), word(status), now)
        }
        Step::PutNode => {
            let mut changed =
                state.put_node(NodeRegistration::new(OTHER.parse().unwrap(), "10.0.0.9"), now).unwrap();
            if let std::collections::btree_map::Entry::Vacant(place) = model.owners.entry(INSTANCES + 1) {
                place.insert(Known { base: Some(Passing), ..Known::default() });
                changed.merge(state.put_check(&owner(INSTANCES + 1), reported("c"), now).unwrap());
            }
            changed
        }
        Step::RemoveNode => {
            let result = state.remove_node(&OTHER.parse().unwrap(), now);
            assert_eq!(result.is_ok(), model.owners.remove(&(INSTANCES + 1)).is_some());
            model.owners.retain(|n, _| !(4..INSTANCES).contains(n));
            result.unwrap_or_default()
        }
        Step::Wait => {
            let now = clock.forward(LEASE);
            model
                .owners
                .retain(|_, known| !(known.expired && known.deadline.is_some_and(|end| end <= now.instant)));
            for known in
                model.owners.values_mut().filter(|known| known.deadline.is_some_and(|end| end <= now.instant))
            {
                (known.expired, known.deadline) = (true, Some(now.instant + KEEP));
            }
            state.expire(now).changed
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let (instance, every) = (0..INSTANCES, 0..INSTANCES + 2);
    let health = || prop::sample::select(vec![Passing, Passing, Warning, Critical]);
    let status = || prop::sample::select(vec![Status::Up, Status::Up, Status::Down, Status::Starting]);
    prop_oneof![
        6 => (instance.clone(), prop::option::of(every.clone()), health())
            .prop_map(|(n, to, initial)| Step::Register { n, to, initial }),
        1 => instance.clone().prop_map(Step::Deregister),
        4 => (every.clone(), every.clone(), 0..2_u8).prop_map(|(from, to, id)| Step::Alias { from, to, id }),
        1 => (every.clone(), 0..2_u8).prop_map(|(from, id)| Step::NoAlias { from, id }),
        5 => (every.clone(), health()).prop_map(|(n, status)| Step::Report { n, status }),
        2 => (instance.clone(), status()).prop_map(|(n, status)| Step::Say { n, status }),
        2 => (every, any::<bool>()).prop_map(|(n, on)| Step::Maintain { n, on }),
        1 => (instance, prop::option::of(status())).prop_map(|(n, status)| Step::Override { n, status }),
        1 => (0..3_u8, prop::option::of(status())).prop_map(|(n, status)| Step::OverrideService { n, status }),
        2 => Just(Step::PutNode),
        1 => Just(Step::RemoveNode),
        1 => Just(Step::Wait),
    ]
}

/// What the state says of everybody: statuses, and the aliases.
fn agree(state: &State, model: &Model) {
    for (n, known) in &model.owners {
        let owner = owner(*n);
        for (id, expected) in model.said_by(*n) {
            let (status, why) = said(state, &owner, &id.to_string());
            assert_eq!(status, expected, "alias {id} of {owner}: {why}");
        }
        if let CheckOwner::Instance(key) = &owner {
            let entry = state.find(key).expect("registered");
            assert_eq!(entry.instance.status, model.status(*n), "{owner}");
            assert_eq!(entry.instance.checks.len(), known.aliases.len() + 1);
            let shown = entry.instance.checks.iter().map(|check| check.status).max();
            assert_eq!(shown, Some(model.own(*n)), "{owner} is shown as it is");
        }
    }
}

proptest! {
    #[test]
    fn aliases_say_what_the_model_says(steps in prop::collection::vec(any_step(), 1..80)) {
        let (mut state, mut clock) = (state(), Clock::new());
        let now = clock.0;
        state.put_check(&owner(INSTANCES), reported("c"), now).unwrap();
        let mut model = Model::default();
        for step in &steps {
            let before = state.index();
            let statuses: BTreeMap<_, _> =
                (0..INSTANCES).filter_map(|n| Some((n, state.find(&instance_of(n))?.instance))).collect();
            let changed = take(step, &mut state, &mut model, &mut clock);
            agree(&state, &model);
            for (n, old) in statuses {
                let Some(new) = state.find(&instance_of(n)) else { continue };
                if new.instance.status != old.status {
                    prop_assert!(changed.services.contains(&new.instance.service()), "{:?}", step);
                    prop_assert!(new.instance.modify_index > before, "{:?}", step);
                }
            }
            // Whoever follows the changes has everybody as he is.
            if let Changes::Since(changes) = state.changes_since(before) {
                for change in changes {
                    let now = state.find(&change.instance.key).map(|entry| entry.instance);
                    prop_assert!(now.is_none_or(|now| now == change.instance), "{:?}", step);
                }
            }
            let mut targets = BTreeSet::new();
            for target in model.owners.values().flat_map(|known| known.aliases.values()) {
                targets.insert(*target);
                targets.extend((*target < INSTANCES).then(|| Model::node_of(*target)));
            }
            prop_assert_eq!(state.aliases.len(), targets.len(), "nothing is left behind");
        }
    }

    #[test]
    fn who_reads_the_rows_sees_the_same(steps in prop::collection::vec(any_step(), 1..60), turned in any::<bool>()) {
        let (mut one, mut clock) = (state(), Clock::new());
        one.put_check(&owner(INSTANCES), reported("c"), clock.0).unwrap();
        let mut model = Model::default();
        for step in &steps {
            take(step, &mut one, &mut model, &mut clock);
        }
        let mut two = State::new(&options(), Overrides::default(), 1000, clock.0);
        for (about, status) in model.overrides() {
            two.set_override(about, status.map(|status| Override { status, since_unix_ms: 0 }), clock.0);
        }
        let mut nodes: Vec<_> = one.nodes().nodes.iter().map(|node| node.name().clone()).collect();
        if turned {
            nodes.reverse();
        }
        for name in nodes {
            let saved = serde_json::to_string(&one.save_node(&name).unwrap()).unwrap();
            two.restore_node(serde_json::from_str(&saved).unwrap(), clock.0).unwrap();
        }
        let saved = (0..INSTANCES).filter_map(|n| one.save(&instance_of(n)));
        let mut rows: Vec<_> = saved.map(|saved| serde_json::to_string(&saved).unwrap()).collect();
        if turned {
            rows.reverse();
        }
        for row in rows {
            let saved: SavedInstance = serde_json::from_str(&row).unwrap();
            two.restore(saved, clock.0).unwrap();
        }
        agree(&two, &model);
    }

    #[test]
    fn who_follows_the_rows_sees_the_same(steps in prop::collection::vec(any_step(), 1..60)) {
        let (mut one, mut clock) = (state(), Clock::new());
        one.share(&"one".into());
        one.put_check(&owner(INSTANCES), reported("c"), clock.0).unwrap();
        let own = NodeRegistration::new("two".parse().unwrap(), "10.0.0.2");
        let mut two = State::new(&Options { node: own, ..options() }, Overrides::default(), 1000, clock.0);
        two.share(&"two".into());
        let mut model = Model::default();
        // Who shares a store ends no lease by himself.
        let steps = steps.iter().filter(|step| !matches!(step, Step::Wait));
        for (revision, step) in (1..).zip(steps) {
            take(step, &mut one, &mut model, &mut clock);
            follow(&one, &mut two, &model, revision, clock.0);
            agree(&two, &model);
        }
    }
}

/// Takes in what has other rows by now.
fn follow(one: &State, two: &mut State, model: &Model, revision: u64, now: Now) {
    let standing = || Standing { revision, holder: "one".into() };
    for (about, status) in model.overrides() {
        let current = two.overrides().get(&about).map(|word| word.status);
        if current != status {
            two.set_override(about, status.map(|status| Override { status, since_unix_ms: 0 }), now);
        }
    }
    for name in [options().node.name, OTHER.parse().unwrap()] {
        match one.save_node(&name) {
            Some(saved) => drop(two.take_node(saved, standing(), now)),
            None => drop(two.lose_node(&name, now)),
        }
    }
    for n in 0..INSTANCES {
        let key = instance_of(n);
        match one.save(&key) {
            Some(saved) => drop(two.take_instance(saved, standing(), now)),
            None => drop(two.lose_instance(&key, now)),
        }
    }
}
