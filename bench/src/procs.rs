//! What the kernel knows of a process: memory, processor time, children.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

/// Memory of one process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Memory {
    /// Resident: counts shared pages in full.
    pub rss_kib: u64,
    /// Proportional: a page shared by N processes counts 1/N in each, so sums mean something.
    pub pss_kib: u64,
    /// Written by this process alone: what its death would give back.
    pub private_dirty_kib: u64,
}

fn file(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// Memory of `pid` now.
pub fn memory(pid: u32) -> io::Result<Memory> {
    Ok(parse_memory(&std::fs::read_to_string(file(pid, "smaps_rollup"))?))
}

/// Processor time, user and system, that `pid` has used.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    let stat = std::fs::read_to_string(file(pid, "stat"))?;
    let ticks = parse_ticks(&stat).ok_or_else(|| io::Error::other(format!("cannot read {stat:?}")))?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Whether `pid` runs; one that has ended and is not yet reaped does not.
pub fn is_running(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(file(pid, "stat")) else {
        return false;
    };
    after_name(&stat).and_then(|mut fields| fields.next()).is_some_and(|state| !matches!(state, "Z" | "X"))
}

/// The children of `pid`.
pub fn children(pid: u32) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Processes end while we look.
        let Ok(stat) = std::fs::read_to_string(file(process, "stat")) else {
            continue;
        };
        let parent = after_name(&stat).and_then(|mut fields| fields.nth(1)?.parse::<u32>().ok());
        if parent == Some(pid) {
            found.push(process);
        }
    }
    Ok(found)
}

/// The children of `pid`, theirs, and so on.
pub fn descendants(pid: u32) -> io::Result<Vec<u32>> {
    let mut found = children(pid)?;
    let mut next = 0;
    while let Some(child) = found.get(next) {
        found.extend(children(*child)?);
        next += 1;
    }
    Ok(found)
}

/// The words `pid` was started with.
pub fn command_line(pid: u32) -> io::Result<Vec<String>> {
    let line = std::fs::read(file(pid, "cmdline"))?;
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    Ok(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// Tasks of the whole machine that ran or wanted to, on average over the last minute.
pub fn load_average() -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    let first = text.split_whitespace().next().and_then(|word| word.parse().ok());
    first.ok_or_else(|| io::Error::other(format!("cannot read {text:?}")))
}

fn parse_memory(rollup: &str) -> Memory {
    let kib = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or_default()
    };
    Memory { rss_kib: kib("Rss:"), pss_kib: kib("Pss:"), private_dirty_kib: kib("Private_Dirty:") }
}

/// The fields behind the program's name, which may itself hold spaces and brackets.
fn after_name(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

/// utime + stime: fields 14 and 15 of the whole, 12th and 13th behind the name (proc(5)).
fn parse_ticks(stat: &str) -> Option<u64> {
    let mut fields = after_name(stat)?.skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_by_name() {
        let rollup = "5581-7ffd ---p 00000000 00:00 0 [rollup]\nRss:  10240 kB\nPss:   8000 kB\nPss_Dirty: 1 kB\nPrivate_Dirty:  512 kB\n";
        assert_eq!(parse_memory(rollup), Memory { rss_kib: 10_240, pss_kib: 8000, private_dirty_kib: 512 });
    }

    #[test]
    fn ticks_are_found_behind_a_difficult_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 300 1 1";
        assert_eq!(parse_ticks(stat), Some(300));
    }

    #[test]
    fn this_process_can_be_asked() {
        let me = std::process::id();
        assert!(memory(me).unwrap().rss_kib > 0);
        assert!(is_running(me) && cpu(me).is_ok());
        assert!(load_average().unwrap() >= 0.0);
        assert!(!command_line(me).unwrap().is_empty());
    }

    #[test]
    fn children_are_found() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(children(std::process::id()).unwrap().contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_running(child.id()));
    }
}
