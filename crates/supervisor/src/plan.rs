//! Who waits for whom.

use std::collections::BTreeMap;

use trellis_core::{InstanceId, ServiceName};

use crate::{Error, ProcessSpec};

/// The needs of all processes, by their index. Free of cycles.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    needs: Vec<Vec<Need>>,
    dependents: Vec<Vec<usize>>,
    /// All processes; those that are needed before those that need them.
    order: Vec<usize>,
}

/// A service or a process, and who provides it.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) what: String,
    providers: Vec<usize>,
}

impl Plan {
    pub(crate) fn new(specs: &[ProcessSpec]) -> Result<Self, Error> {
        let mut providers: BTreeMap<&ServiceName, Vec<usize>> = BTreeMap::new();
        for (index, spec) in specs.iter().enumerate() {
            for service in &spec.provides {
                providers.entry(service).or_default().push(index);
            }
        }
        let mut plan =
            Self { needs: Vec::new(), dependents: vec![Vec::new(); specs.len()], order: Vec::new() };
        for (index, spec) in specs.iter().enumerate() {
            let mut needs = Vec::new();
            for service in spec.needs.iter().filter(|need| !spec.provides.contains(need)) {
                let found = providers
                    .get(service)
                    .ok_or_else(|| Error::UnknownNeed { id: spec.id.clone(), need: service.clone() })?;
                for &provider in found {
                    plan.dependents[provider].push(index);
                }
                needs.push(Need { what: service.to_string(), providers: found.clone() });
            }
            for id in &spec.after {
                let found = specs.iter().position(|other| other.id == *id);
                let found =
                    found.ok_or_else(|| Error::UnknownProcess { id: spec.id.clone(), after: id.clone() })?;
                plan.dependents[found].push(index);
                needs.push(Need { what: id.to_string(), providers: vec![found] });
            }
            plan.needs.push(needs);
        }
        plan.order = plan.sorted().map_err(|circle| Error::Cycle(names(specs, &circle)))?;
        Ok(plan)
    }

    /// The first need of a process that none of its `ready` providers meets.
    pub(crate) fn unmet(&self, index: usize, ready: impl Fn(usize) -> bool) -> Option<&Need> {
        self.needs[index].iter().find(|need| !need.providers.iter().any(|&provider| ready(provider)))
    }

    /// Those that need a service of this process.
    pub(crate) fn dependents(&self, index: usize) -> &[usize] {
        &self.dependents[index]
    }

    /// Which processes nobody should wait for: those that `failed`, and those `waiting` for a service all of whose
    /// providers are such.
    pub(crate) fn hopeless(
        &self,
        failed: impl Fn(usize) -> bool,
        waiting: impl Fn(usize) -> bool,
    ) -> Vec<bool> {
        let mut hopeless = vec![false; self.needs.len()];
        for &index in &self.order {
            let blocked = |need: &Need| need.providers.iter().all(|&provider| hopeless[provider]);
            hopeless[index] = failed(index) || waiting(index) && self.needs[index].iter().any(blocked);
        }
        hopeless
    }

    /// Kahn's algorithm; the error is a circle.
    fn sorted(&self) -> Result<Vec<usize>, Vec<usize>> {
        let mut missing: Vec<usize> =
            self.needs.iter().map(|needs| needs.iter().map(|need| need.providers.len()).sum()).collect();
        let mut order: Vec<usize> = (0..missing.len()).filter(|&index| missing[index] == 0).collect();
        let mut done = 0;
        while let Some(&index) = order.get(done) {
            done += 1;
            for &dependent in &self.dependents[index] {
                missing[dependent] -= 1;
                if missing[dependent] == 0 {
                    order.push(dependent);
                }
            }
        }
        if order.len() == missing.len() { Ok(order) } else { Err(self.circle(&missing)) }
    }

    /// Walks from need to need among the processes that are left, until it meets itself.
    fn circle(&self, missing: &[usize]) -> Vec<usize> {
        let left = |index: &usize| missing[*index] > 0;
        let mut path: Vec<usize> = Vec::new();
        let mut next = (0..missing.len()).find(left);
        while let Some(index) = next {
            if let Some(start) = path.iter().position(|&seen| seen == index) {
                return path.split_off(start);
            }
            path.push(index);
            next = self.needs[index].iter().flat_map(|need| need.providers.iter().copied()).find(left);
        }
        path
    }
}

fn names(specs: &[ProcessSpec], indexes: &[usize]) -> Vec<InstanceId> {
    indexes.iter().map(|&index| specs[index].id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::tests::spec;

    fn plan(specs: &[(&str, &[&str], &[&str])]) -> Result<Plan, Error> {
        let specs: Vec<_> = specs.iter().map(|(id, provides, needs)| spec(id, provides, needs)).collect();
        Plan::new(&specs)
    }

    #[test]
    fn one_instance_of_each_needed_service_is_enough() {
        let plan = plan(&[
            ("a-1", &["a"], &[]),
            ("a-2", &["a"], &[]),
            ("b", &["b"], &[]),
            ("c", &["c"], &["a", "b"]),
        ])
        .unwrap();
        let unmet =
            |ready: &[usize]| plan.unmet(3, |index| ready.contains(&index)).map(|need| need.what.clone());
        assert_eq!(unmet(&[]).as_deref(), Some("a"));
        assert_eq!(unmet(&[1]).as_deref(), Some("b"));
        assert_eq!(unmet(&[1, 2]), None);
        assert_eq!(plan.dependents(1), [3]);
    }

    #[test]
    fn a_process_waits_for_the_very_one_that_it_comes_after() {
        let mut specs = [spec("a-1", &["a"], &[]), spec("a-1-proxy", &[], &[]), spec("a-2-proxy", &[], &[])];
        specs[0].after = vec!["a-1-proxy".parse().unwrap()];
        let plan = Plan::new(&specs).unwrap();
        let unmet = |ready: usize| plan.unmet(0, |index| index == ready).map(|need| need.what.clone());
        assert_eq!((unmet(2).as_deref(), unmet(1)), (Some("a-1-proxy"), None));
        assert_eq!(plan.dependents(1), [0]);
        specs[0].after = vec!["ghost".parse().unwrap()];
        assert!(Plan::new(&specs).unwrap_err().to_string().contains("a-1 comes after ghost"));
    }

    #[test]
    fn what_a_process_provides_itself_is_no_need() {
        let plan = plan(&[("app-1", &["a", "b"], &["a"]), ("app-2", &["a"], &["b"])]).unwrap();
        assert!(plan.unmet(0, |_| false).is_none());
        assert_eq!(plan.order, [0, 1]);
    }

    #[test]
    fn a_circle_is_named() {
        let specs: &[(&str, &[&str], &[&str])] =
            &[("x", &["x"], &["a"]), ("a", &["a"], &["b"]), ("b", &["b"], &["c"]), ("c", &["c"], &["a"])];
        let error = plan(specs).unwrap_err();
        assert!(error.to_string().contains("a -> b -> c -> a"), "{error}");
    }

    #[test]
    fn an_unknown_need_is_named() {
        let error = plan(&[("a", &["a"], &["ghost"])]).unwrap_err();
        assert!(error.to_string().contains("a needs ghost"), "{error}");
    }

    #[test]
    fn those_that_wait_for_the_failed_are_hopeless() {
        let plan = plan(&[
            ("a", &["a"], &[]),
            ("b-1", &["b"], &[]),
            ("b-2", &["b"], &[]),
            ("c", &["c"], &["a"]),
            ("d", &["d"], &["c"]),
            ("e", &["e"], &["b"]),
        ])
        .unwrap();
        let hopeless = plan.hopeless(|index| index == 0 || index == 1, |index| index >= 3);
        assert_eq!(hopeless, [true, true, false, true, true, false]);
    }
}
