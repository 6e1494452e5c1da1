//! Random steps on the state and on a model so plain that it is plainly right: a list of instances, and everything
//! worked out anew each time it is asked for.

use std::collections::BTreeMap;

use proptest::prelude::*;
use trellis_core::Endpoint;

use super::super::{Asker, Changed, Override};
use super::*;
use crate::view::Target;

#[derive(Debug, Clone)]
enum Step {
    Register { id: u8, service: u8, port: u16, status: Status, managed: bool },
    Renew { id: u8 },
    Deregister { id: u8, outside: bool },
    Report { id: u8, status: Status },
    SayOfInstance { id: u8, status: Option<Status> },
    SayOfService { service: u8, status: Option<Status> },
    Watch { service: u8, on: bool },
    Wait { millis: u64 },
}

struct Member {
    registration: Registration,
    reported: Status,
    expired: bool,
    deadline: Option<Instant>,
}

#[derive(Default)]
struct Model {
    members: Vec<Member>,
    said: BTreeMap<Target, Status>,
}

impl Model {
    fn status(&self, member: &Member) -> Status {
        let of = |target| self.said.get(&target).copied();
        of(Target::Instance(member.registration.id.clone()))
            .or_else(|| of(Target::Service(member.registration.service.clone())))
            .unwrap_or(if member.expired { Status::Down } else { member.reported })
    }

    fn endpoints(&self, service: &ServiceName) -> Vec<Endpoint> {
        let up = |m: &&Member| m.registration.service == *service && self.status(m) == Status::Up;
        let mut found: Vec<_> = self.members.iter().filter(up).map(|m| &m.registration).collect();
        found.sort_by_key(|r| r.id.clone());
        let endpoint = |r: &Registration| Endpoint {
            id: r.id.clone(),
            authority: format!("{}:{}", r.host, r.port).into(),
            weight: r.weight,
            zone: None,
        };
        found.into_iter().map(endpoint).collect()
    }

    fn member(&mut self, id: &InstanceId) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.registration.id == *id)
    }

    fn register(&mut self, registration: Registration, now: Instant) -> bool {
        let outside = registration.lease != Lease::Managed;
        let taken = self.member(&registration.id).map(|m| m.registration.lease == Lease::Managed);
        if (taken == Some(true) && outside) || (taken.is_none() && self.members.len() >= 8) {
            return false;
        }
        self.members.retain(|m| m.registration.id != registration.id);
        let deadline = outside.then(|| now + LEASE);
        self.members.push(Member { reported: registration.status, expired: false, deadline, registration });
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

fn service_name(n: u8) -> ServiceName {
    name(&format!("s{n}"))
}

fn any_status() -> impl Strategy<Value = Status> + Clone {
    prop::sample::select(Status::ALL.to_vec())
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
        1 => (id, said.clone()).prop_map(|(id, status)| Step::SayOfInstance { id, status }),
        1 => (service.clone(), said).prop_map(|(service, status)| Step::SayOfService { service, status }),
        1 => (service, any::<bool>()).prop_map(|(service, on)| Step::Watch { service, on }),
        3 => prop::sample::select(vec![100, 5_000, 10_000, 60_000]).prop_map(|millis| Step::Wait { millis }),
    ]
}

/// Takes the step on both sides; they must agree on whether it is refused. The services said to have changed.
fn take(step: &Step, state: &mut State, model: &mut Model, clock: &mut Clock) -> Changed {
    let now = clock.0;
    match *step {
        Step::Register { id, service, port, status, managed } => {
            let lease = if managed { Lease::Managed } else { Lease::For(LEASE) };
            let service = service_name(service);
            let registration =
                Registration { id: instance_id(id), service, port, status, lease, ..instance("x", "x") };
            let result = state.register(registration.clone(), now);
            assert_eq!(result.is_ok(), model.register(registration, now.instant));
            result.unwrap_or_default()
        }
        Step::Renew { id } => {
            let result = state.renew(&instance_id(id), now);
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
            let result = state.deregister(&instance_id(id), asker);
            let may = |m: &&mut Member| !(outside && m.registration.lease == Lease::Managed);
            let found = model.member(&instance_id(id)).as_ref().is_some_and(may);
            assert_eq!(result.is_ok(), found);
            model.members.retain(|m| !(found && m.registration.id == instance_id(id)));
            result.unwrap_or_default()
        }
        Step::Report { id, status } => {
            let result = state.set_status(&instance_id(id), status, now);
            let reported = model.member(&instance_id(id)).map(|m| m.reported = status);
            assert_eq!(result.is_ok(), reported.is_some());
            result.unwrap_or_default()
        }
        Step::SayOfInstance { id, status } => {
            say(Target::Instance(instance_id(id)), status, state, model, now)
        }
        Step::SayOfService { service, status } => {
            say(Target::Service(service_name(service)), status, state, model, now)
        }
        Step::Watch { service, on } => {
            if on {
                let _full = state.watch(&service_name(service));
            } else {
                state.unwatch(&service_name(service));
            }
            Changed::new()
        }
        Step::Wait { millis } => {
            let now = clock.forward(Duration::from_millis(millis));
            let deadlines = model.members.iter().filter_map(|m| m.deadline);
            assert_eq!(state.next_deadline(), deadlines.min());
            model.expire(now.instant);
            state.expire(now).changed
        }
    }
}

fn say(target: Target, status: Option<Status>, state: &mut State, model: &mut Model, now: Now) -> Changed {
    match status {
        Some(status) => model.said.insert(target.clone(), status),
        None => model.said.remove(&target),
    };
    state.set_override(target, status.map(|status| Override { status, since_unix_ms: now.unix_ms }), now)
}

proptest! {
    #[test]
    fn the_state_does_as_the_model(steps in prop::collection::vec(any_step(), 1..120)) {
        let (mut state, mut model, mut clock) = (state(), Model::default(), Clock::new());
        let services: Vec<_> = (0..3).map(service_name).collect();
        let mut last: BTreeMap<_, _> = services.iter().map(|s| (s.clone(), state.endpoints(s))).collect();
        let mut highest = 0;
        for step in &steps {
            let changed = take(step, &mut state, &mut model, &mut clock);
            for service in &services {
                let (before, after) = (&last[service], state.endpoints(service));
                prop_assert_eq!(&after.endpoints, &model.endpoints(service), "{:?}", step);
                let differs = before.endpoints != after.endpoints;
                prop_assert_eq!(differs, changed.contains(service), "{:?} says what changed", step);
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
            prop_assert_eq!((state.index.len(), state.deadlines.len()), (model.members.len(), leased));
            prop_assert_eq!(state.overrides.len(), model.said.len());
            let held = state.services.values().filter(|s| s.records.is_empty() && !s.watched).count();
            prop_assert_eq!(held, 0, "an empty service is kept only for its watchers");
        }
    }
}
