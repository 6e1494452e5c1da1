//! Random steps on the state and on a model so plain that it is plainly right: a list of instances, and everything
//! worked out anew each time it is asked for.

use std::collections::BTreeMap;

use proptest::prelude::*;
use trellis_core::Endpoint;

use super::super::Override;
use super::*;
use crate::model::check::{CheckDefinition, CheckKind, CheckStatus};
use crate::model::names::{CheckKey, CheckOwner};
use crate::model::topic::Topic;

#[derive(Debug, Clone)]
enum Step {
    Register { id: u8, service: u8, port: u16, status: Status, managed: bool },
    Renew { id: u8 },
    Deregister { id: u8, outside: bool },
    Report { id: u8, status: Status },
    SayOfInstance { id: u8, status: Option<Status> },
    SayOfService { service: u8, status: Option<Status> },
    PutCheck { id: u8, initial: CheckStatus },
    RemoveCheck { id: u8 },
    ReportCheck { id: u8, status: CheckStatus, output: u8 },
    Maintain { id: u8, on: bool },
    Watch { service: u8, on: bool },
    Wait { millis: u64 },
}

struct Member {
    registration: Registration,
    reported: Status,
    expired: bool,
    deadline: Option<Instant>,
    check: Option<CheckStatus>,
    maintenance: bool,
}

#[derive(Default)]
struct Model {
    members: Vec<Member>,
    said: BTreeMap<About, Status>,
}

impl Model {
    fn status(&self, member: &Member) -> Status {
        let of = |target| self.said.get(&target).copied();
        of(About::Instance(key(member.registration.id.as_str())))
            .or_else(|| of(About::Service(member.registration.service_key())))
            .unwrap_or(match member {
                Member { maintenance: true, .. } => Status::OutOfService,
                Member { check: Some(CheckStatus::Critical), .. } | Member { expired: true, .. } => {
                    Status::Down
                }
                _ => member.reported,
            })
    }

    fn endpoints(&self, service: &ServiceKey) -> Vec<Endpoint> {
        let up = |m: &&Member| m.registration.service_key() == *service && self.status(m) == Status::Up;
        let mut found: Vec<_> = self.members.iter().filter(up).map(|m| &m.registration).collect();
        found.sort_by_key(|r| r.id.clone());
        let warns = |r: &Registration| {
            self.members.iter().any(|m| m.registration.id == r.id && m.check == Some(CheckStatus::Warning))
        };
        let endpoint = |r: &Registration| Endpoint {
            id: r.id.clone(),
            authority: format!("{}:{}", r.host, r.port).into(),
            weight: if warns(r) { r.weights.warning } else { r.weights.passing },
            zone: None,
        };
        found.into_iter().map(endpoint).collect()
    }

    fn member(&mut self, id: &InstanceId) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.registration.id == *id)
    }

    fn register(&mut self, registration: Registration, now: Instant) -> bool {
        let outside = registration.lease != Lease::Managed;
        let old = self.members.iter().position(|m| m.registration.id == registration.id);
        let taken = old.map(|at| self.members[at].registration.lease == Lease::Managed);
        if (taken == Some(true) && outside) || (taken.is_none() && self.members.len() >= 8) {
            return false;
        }
        // Its check and its maintenance stay.
        let (check, maintenance) =
            old.map_or((None, false), |at| (self.members[at].check, self.members[at].maintenance));
        old.map(|at| self.members.remove(at));
        let deadline = outside.then(|| now + LEASE);
        let reported = registration.status;
        self.members.push(Member { reported, expired: false, deadline, check, maintenance, registration });
        true
    }

    fn expire(&mut self, now: Instant) {
        self.members.retain(|m| !(m.expired && m.deadline.is_some_and(|d| d <= now)));
        for member in self.members.iter_mut().filter(|m| m.deadline.is_some_and(|d| d <= now)) {
            member.expired = true;
            member.deadline = Some(now + KEEP);
        }
    }
}

fn instance_id(n: u8) -> InstanceId {
    id(&format!("i-{n}"))
}

fn instance_key(n: u8) -> InstanceKey {
    key(&format!("i-{n}"))
}

fn check_key(n: u8) -> CheckKey {
    CheckKey { owner: CheckOwner::Instance(instance_key(n)), id: "c".into() }
}

fn service_name(n: u8) -> ServiceKey {
    name(&format!("s{n}"))
}

fn any_status() -> impl Strategy<Value = Status> + Clone {
    prop::sample::select(Status::ALL.to_vec())
}

fn any_check() -> impl Strategy<Value = CheckStatus> + Clone {
    prop::sample::select(vec![CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical])
}

fn any_step() -> impl Strategy<Value = Step> {
    let (id, service) = (0..10_u8, 0..3_u8);
    let said = prop::option::of(any_status());
    prop_oneof![
        4 => (id.clone(), service.clone(), 80..82_u16, any_status(), any::<bool>()).prop_map(
            |(id, service, port, status, managed)| Step::Register { id, service, port, status, managed }
        ),
        2 => id.clone().prop_map(|id| Step::Renew { id }),
        2 => (id.clone(), any::<bool>()).prop_map(|(id, outside)| Step::Deregister { id, outside }),
        2 => (id.clone(), any_status()).prop_map(|(id, status)| Step::Report { id, status }),
        2 => (id.clone(), any_check()).prop_map(|(id, initial)| Step::PutCheck { id, initial }),
        1 => id.clone().prop_map(|id| Step::RemoveCheck { id }),
        2 => (id.clone(), any_check(), 0..2_u8)
            .prop_map(|(id, status, output)| Step::ReportCheck { id, status, output }),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, on)| Step::Maintain { id, on }),
        1 => (id, said.clone()).prop_map(|(id, status)| Step::SayOfInstance { id, status }),
        1 => (service.clone(), said).prop_map(|(service, status)| Step::SayOfService { service, status }),
        1 => (service, any::<bool>()).prop_map(|(service, on)| Step::Watch { service, on }),
        3 => prop::sample::select(vec![100, 5_000, 10_000, 60_000]).prop_map(|millis| Step::Wait { millis }),
    ]
}

/// Takes the step on both sides; they must agree on whether it is refused. What is said to have changed.
fn take(step: &Step, state: &mut State, model: &mut Model, clock: &mut Clock) -> Changed {
    let now = clock.0;
    match *step {
        Step::Register { id, service, port, status, managed } => {
            let lease = if managed { Lease::Managed } else { Lease::For(LEASE) };
            let weights = crate::Weights { passing: 1, warning: 7 };
            let registration = Registration {
                id: instance_id(id),
                service: service_name(service).name,
                port,
                status,
                lease,
                weights,
                keep_checks: true,
                ..instance("x", "x")
            };
            let result = state.add(registration.clone(), now);
            assert_eq!(result.is_ok(), model.register(registration, now.instant));
            result.unwrap_or_default()
        }
        Step::Renew { id } => {
            let result = state.renew(&instance_key(id), now);
            let member = model.member(&instance_id(id));
            assert_eq!(result.is_ok(), member.is_some());
            if let Some(member) = member {
                member.expired = false;
                member.deadline = member.deadline.map(|_| now.instant + LEASE);
            }
            result.unwrap_or_default()
        }
        Step::Deregister { id, outside } => {
            let asker = if outside { Asker::Outside } else { Asker::Platform };
            let result = state.deregister(&instance_key(id), asker, now);
            let may = |m: &&mut Member| !(outside && m.registration.lease == Lease::Managed);
            let found = model.member(&instance_id(id)).as_ref().is_some_and(may);
            assert_eq!(result.is_ok(), found);
            model.members.retain(|m| !(found && m.registration.id == instance_id(id)));
            result.unwrap_or_default()
        }
        Step::Report { id, status } => {
            let result = state.report(&instance_key(id), status, now);
            let reported = model.member(&instance_id(id)).map(|m| m.reported = status);
            assert_eq!(result.is_ok(), reported.is_some());
            result.unwrap_or_default()
        }
        Step::PutCheck { id, initial } => {
            let check = CheckDefinition { initial, ..CheckDefinition::new("c", CheckKind::Reported) };
            let result = state.put_check(&check_key(id).owner, check, now);
            // A check of the same kind goes on with what it knows.
            let put = model.member(&instance_id(id)).map(|m| m.check.get_or_insert(initial));
            assert_eq!(result.is_ok(), put.is_some());
            result.unwrap_or_default()
        }
        Step::RemoveCheck { id } => {
            let result = state.remove_check(&check_key(id), now);
            let removed = model.member(&instance_id(id)).and_then(|m| m.check.take());
            assert_eq!(result.is_ok(), removed.is_some());
            result.unwrap_or_default()
        }
        Step::ReportCheck { id, status, output } => {
            let result = state.report_check(&check_key(id), status, &output.to_string(), now);
            let told = model.member(&instance_id(id)).and_then(|m| m.check.as_mut()).map(|c| *c = status);
            assert_eq!(result.is_ok(), told.is_some());
            result.unwrap_or_default()
        }
        Step::Maintain { id, on } => {
            let result = state.maintain(&instance_key(id), on.then(|| "why".into()), now);
            let told = model.member(&instance_id(id)).map(|m| m.maintenance = on);
            assert_eq!(result.is_ok(), told.is_some());
            result.unwrap_or_default()
        }
        Step::SayOfInstance { id, status } => {
            say(About::Instance(instance_key(id)), status, state, model, now)
        }
        Step::SayOfService { service, status } => {
            say(About::Service(service_name(service)), status, state, model, now)
        }
        Step::Watch { service, on } => {
            if on {
                let _full = state.watch(&service_name(service));
            } else {
                state.unwatch(&service_name(service));
            }
            Changed::default()
        }
        Step::Wait { millis } => {
            let now = clock.forward(Duration::from_millis(millis));
            let first = model.members.iter().filter_map(|m| m.deadline).min();
            assert_eq!(state.next_deadline().is_some(), first.is_some());
            assert!(state.next_deadline() <= first, "nothing is looked at too late");
            model.expire(now.instant);
            state.expire(now).changed
        }
    }
}

fn say(about: About, status: Option<Status>, state: &mut State, model: &mut Model, now: Now) -> Changed {
    match status {
        Some(status) => model.said.insert(about.clone(), status),
        None => model.said.remove(&about),
    };
    state.set_override(about, status.map(|status| Override { status, since_unix_ms: now.unix_ms }), now)
}

/// All that a health query shows but the output of checks.
fn shown(state: &mut State, service: &ServiceKey) -> String {
    let snapshot = state.snapshot(service);
    let line = |entry: &crate::Entry| {
        let instance = &entry.instance;
        let checks: Vec<_> = instance.checks.iter().map(|c| (&c.key.id, c.status, c.create_index)).collect();
        format!(
            "{:?}",
            (instance.create_index, &instance.definition, instance.status, instance.reported, checks)
        )
    };
    let lines: Vec<String> = snapshot.entries.iter().map(line).collect();
    format!("{:?} {lines:?}", snapshot.override_status)
}

proptest! {
    #[test]
    fn the_state_does_as_the_model(steps in prop::collection::vec(any_step(), 1..120)) {
        let (mut state, mut model, mut clock) = (state(), Model::default(), Clock::new());
        let services: Vec<_> = (0..3).map(service_name).collect();
        let mut last: BTreeMap<_, _> = services.iter().map(|s| (s.clone(), state.endpoints(s))).collect();
        let mut highest = 0;
        for step in &steps {
            let before_step = (state.index(), model.members.len());
            let topics: Vec<_> = services
                .iter()
                .map(|s| (shown(&mut state, s), state.topic_index(&Topic::Service(s.clone()))))
                .collect();
            let changed = take(step, &mut state, &mut model, &mut clock);
            for (service, (before, index)) in services.iter().zip(&topics) {
                let (after, now) = (shown(&mut state, service), state.topic_index(&Topic::Service(service.clone())));
                prop_assert!(now >= *index, "{:?}: an index never goes back", step);
                if *before != after && state.has(service) {
                    prop_assert!(now > *index, "{:?}: {} became {}", step, before, after);
                    prop_assert!(changed.services.contains(service), "{:?}", step);
                }
            }
            prop_assert!(state.index() <= before_step.0 + 1, "one step, one index");
            prop_assert_eq!(changed.index, if changed.is_empty() { 0 } else { state.index() });
            for service in &services {
                let (before, after) = (&last[service], state.endpoints(service));
                prop_assert_eq!(&after.endpoints, &model.endpoints(service), "{:?}", step);
                let differs = before.endpoints != after.endpoints;
                prop_assert_eq!(differs, changed.endpoints.contains(service), "{:?} says what changed", step);
                if differs && state.services.contains_key(service) {
                    prop_assert!(after.revision > highest, "{:?}: {} is not new", step, after.revision);
                } else if !differs {
                    // Forgotten, with nobody watching, it may also start over.
                    prop_assert!(after.revision == before.revision || after.revision == 0, "{:?}", step);
                }
            }
            for service in &services {
                let set = state.endpoints(service);
                highest = highest.max(set.revision);
                last.insert(service.clone(), set);
            }
            // Nothing is left behind: every index has exactly what the model has.
            let leased = model.members.iter().filter(|m| m.deadline.is_some()).count();
            prop_assert_eq!((state.by_key.len(), state.deadlines.len()), (model.members.len(), leased));
            let of_service = state.services.values().map(|s| (s.members.len(), s.leased));
            let (members, with_lease) = of_service.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
            prop_assert_eq!((members, with_lease), (model.members.len(), leased));
            let checks = model.members.iter().filter(|m| m.check.is_some()).count();
            prop_assert_eq!(state.checks.len(), checks + 1, "and the one of the own node");
            prop_assert_eq!(state.overrides.len(), model.said.len());
            let peopled = state.services.values().filter(|s| !s.members.is_empty()).count();
            prop_assert_eq!(state.peopled, peopled);
            let held = state.services.values().filter(|s| s.members.is_empty() && !s.watched).count();
            prop_assert_eq!(held, 0, "an empty service is kept only for its watchers");
        }
    }
}
