//! `cargo xtask fuzz`

use std::fs;

use anyhow::{Context as _, bail, ensure};

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
/// document within a minute, so that everything behind would never be reached. Bytes are kept as text, in files `.hex`.
fn seeds(workspace: &Workspace, target: &str) -> anyhow::Result<Option<String>> {
    let fuzz = workspace.root.join("fuzz");
    let (folder, made) = (fuzz.join("seeds").join(target), format!("target/seeds/{target}"));
    if !folder.is_dir() {
        return Ok(None);
    }
    let files = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let files = files.with_context(|| format!("{} cannot be read", folder.display()))?;
    fs::create_dir_all(fuzz.join(&made)).with_context(|| format!("cannot make fuzz/{made}"))?;
    // The fuzzer runs in the folder `fuzz`; a comma would end a path.
    let mut paths = Vec::new();
    for file in files {
        let name = file.file_name().display().to_string();
        let Some(plain) = name.strip_suffix(".hex") else {
            paths.push(format!("seeds/{target}/{name}"));
            continue;
        };
        let text = fs::read_to_string(file.path()).with_context(|| format!("{name} cannot be read"))?;
        let path = format!("{made}/{plain}");
        fs::write(fuzz.join(&path), bytes_of(&text).with_context(|| format!("{name} has no bytes in it"))?)
            .with_context(|| format!("cannot write fuzz/{path}"))?;
        paths.push(path);
    }
    paths.sort();
    Ok(Some(format!("-seed_inputs={}", paths.join(","))))
}

/// Bytes from two hexadecimal digits each, with white space between them.
fn bytes_of(text: &str) -> anyhow::Result<Vec<u8>> {
    let byte = |digits: &str| {
        ensure!(digits.len() == 2, "{digits:?} is not two digits");
        u8::from_str_radix(digits, 16).with_context(|| format!("{digits:?} is no hexadecimal number"))
    };
    text.split_whitespace().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_from_their_digits() {
        assert_eq!(bytes_of("00 0f\nff \n").unwrap(), [0, 15, 255]);
        for wrong in ["0", "000", "0g"] {
            assert!(bytes_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_seed_can_be_read() {
        let workspace = Workspace::find().unwrap();
        for target in TARGETS {
            let Some(found) = seeds(&workspace, target).unwrap() else { continue };
            for path in found.trim_start_matches("-seed_inputs=").split(',') {
                let path = workspace.root.join("fuzz").join(path);
                assert!(path.metadata().is_ok_and(|file| file.len() > 0), "{}", path.display());
            }
        }
    }
}
