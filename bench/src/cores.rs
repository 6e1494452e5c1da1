//! Which cores a program runs on: a server's figures are its own only if its load runs elsewhere.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of a machine, divided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Split {
    /// For whoever is measured. None: all.
    pub(crate) servers: Vec<usize>,
    /// For the load. None: all.
    pub(crate) load: Vec<usize>,
}

impl Split {
    /// Half of the cores for each; where there is only one they share it.
    pub(crate) fn halves() -> Result<Self> {
        Ok(Self::of(&ours()?))
    }

    fn of(cores: &[usize]) -> Self {
        if cores.len() < 2 {
            return Self::default();
        }
        let (servers, load) = cores.split_at(cores.len() / 2);
        Self { servers: servers.into(), load: load.into() }
    }
}

/// Those that this thread may run on.
fn ours() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None).context("cannot ask for the cores of this program")?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Keeps this thread, and those that it starts from now on, to these cores.
pub(crate) fn keep_to(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("cannot keep to the cores {cores:?}"))
}

/// As `taskset --cpu-list` wants them.
pub(crate) fn list(cores: &[usize]) -> String {
    cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_a_core_of_the_others() {
        assert_eq!(Split::of(&[3]), Split::default());
        assert_eq!(Split::of(&[0, 1]), Split { servers: vec![0], load: vec![1] });
        assert_eq!(Split::of(&[0, 2, 4]), Split { servers: vec![0], load: vec![2, 4] });
    }

    #[test]
    fn a_thread_stays_where_it_is_kept() {
        let core = ours().unwrap()[0];
        std::thread::spawn(move || {
            keep_to(&[core]).unwrap();
            assert_eq!(ours().unwrap(), [core]);
        })
        .join()
        .unwrap();
        assert_eq!(list(&[0, 2]), "0,2");
    }
}
