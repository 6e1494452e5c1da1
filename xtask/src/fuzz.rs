//! `cargo xtask fuzz`

use anyhow::{Context as _, bail};

use crate::command;
use crate::workspace::Workspace;

/// Give parsers bytes that nobody would send, for a while
///
/// Needs `cargo install cargo-fuzz`; the compiler is the one that everything is built with. What a target begins with is in
/// fuzz/seeds/TARGET. A failure leaves its input in fuzz/artifacts/TARGET, and the text says how to run it again.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz                          # every target, 60 s each
  cargo xtask fuzz routing --seconds 600")]
pub(crate) struct Args {
    /// Which; all of them if none is named
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// How long each of them runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

const TARGETS: [&str; 6] = ["routing", "headers", "manifest", "http", "dns", "eureka"];

/// Runs them, one after the other.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    if !command::succeeds(command::cargo().args(["fuzz", "--version"])) {
        bail!("`cargo fuzz` is missing; run: cargo install cargo-fuzz");
    }
    let all = TARGETS.map(str::to_owned).to_vec();
    let targets = if args.targets.is_empty() { &all } else { &args.targets };
    for target in targets {
        let mut cargo = command::cargo();
        // Sanitizers need a nightly compiler; what is looked for are panics and hangs. Without one, cargo-fuzz asks the
        // compiler for nothing that the stable one does not give.
        cargo
            .current_dir(workspace.root.join("fuzz"))
            .args(["fuzz", "run", "--sanitizer", "none", target, "--"])
            .args([
                format!("-max_total_time={}", args.seconds),
                "-timeout=10".into(),
                "-rss_limit_mb=2048".into(),
            ])
            .args(seeds(workspace, target)?);
        command::say(&format!("fuzzing {target} for {} s", args.seconds));
        let status = cargo.status().context("cargo cannot be run")?;
        if !status.success() {
            bail!("{target} failed ({status})");
        }
    }
    Ok(())
}

/// Inputs that get through the outermost layer of a target. Chance alone does not make a name of the zone or a whole
/// document within a minute, so that everything behind would never be reached.
fn seeds(workspace: &Workspace, target: &str) -> anyhow::Result<Option<String>> {
    let folder = workspace.root.join("fuzz/seeds").join(target);
    if !folder.is_dir() {
        return Ok(None);
    }
    let files = std::fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let files = files.with_context(|| format!("{} cannot be read", folder.display()))?;
    // The fuzzer runs in the folder `fuzz`; a comma would end a path.
    let mut paths: Vec<_> =
        files.iter().map(|file| format!("seeds/{target}/{}", file.file_name().display())).collect();
    paths.sort();
    Ok(Some(format!("-seed_inputs={}", paths.join(","))))
}
