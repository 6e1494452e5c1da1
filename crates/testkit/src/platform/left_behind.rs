//! Which processes of a platform still run.

use std::path::Path;

/// The variable that marks a platform's processes, and all they start, with its data directory.
pub(super) const MARK: &str = "TRELLIS_TESTKIT_DATA_DIR";

/// Number and command line of each process that runs with this mark.
pub(super) fn marked(data_dir: &Path) -> Vec<String> {
    let mark = format!("{MARK}={}", data_dir.display());
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| describe(&process.path(), mark.as_bytes())).collect()
}

fn describe(process: &Path, mark: &[u8]) -> Option<String> {
    let pid: u32 = process.file_name()?.to_str()?.parse().ok()?;
    // Of a process that ended and was not waited for, this is empty.
    let environment = std::fs::read(process.join("environ")).ok()?;
    environment.split(|byte| *byte == 0).find(|variable| *variable == mark)?;
    let command = std::fs::read(process.join("cmdline")).ok()?;
    Some(format!("{pid}: {}", String::from_utf8_lossy(&command).replace('\0', " ")))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::wait_until;

    #[tokio::test]
    async fn marked_processes_are_found_and_no_others() {
        let mut marked_one = Command::new("sleep").arg("60").env(MARK, "/data/of/this/test").spawn().unwrap();
        // The kernel lets the parent go on a moment before it shows the child's environment.
        let there = || async { marked(Path::new("/data/of/this/test")).len() == 1 };
        wait_until("it is found", Duration::from_secs(10), there).await.unwrap();
        let found = marked(Path::new("/data/of/this/test"));
        assert!(found[0].contains("sleep 60"), "{found:?}");
        assert!(marked(Path::new("/data/of/this")).is_empty(), "a folder above is another");
        marked_one.kill().unwrap();
        marked_one.wait().unwrap();
        assert!(marked(Path::new("/data/of/this/test")).is_empty());
    }
}
