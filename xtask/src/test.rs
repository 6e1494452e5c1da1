//! `cargo xtask test`: everything that has to hold before a change lands.

use std::process::Command;

use anyhow::Result;

use crate::command::{cargo, in_ci, is_set, run as execute};
use crate::setup;
use crate::steps::{self, Step};
use crate::workspace::Workspace;

/// Sets up what the tests need and runs all of them
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                 everything, as CI runs it
  cargo xtask test --fast          build and test only: no format, lint or documentation steps
  cargo xtask test breaker         only tests whose name contains `breaker`; implies --fast

Nothing is skipped silently: a test whose back end is missing fails.")]
pub(crate) struct Args {
    /// Leave out format, lint and documentation
    #[arg(long)]
    fast: bool,
    /// Run only the tests whose name contains this
    filter: Option<String>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let fast = args.fast || args.filter.is_some();
    let workspace_cargo = |words: &[&str]| {
        let mut command = cargo();
        command.args(words).current_dir(&workspace.root);
        if in_ci() {
            // Nothing is rebuilt there, so what would make a rebuild quick only costs time and space.
            command.env("CARGO_INCREMENTAL", "0");
        }
        if !is_set("RUST_TEST_THREADS") {
            command.env("RUST_TEST_THREADS", threads().to_string());
        }
        command
    };
    let mut steps = vec![Step::new("set-up", || setup::run(workspace))];
    if !fast {
        steps.push(Step::new("format", || execute(&mut workspace_cargo(&["fmt", "--all", "--check"]))));
        steps.push(Step::new("lint", || {
            execute(&mut workspace_cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
        }));
    }
    // All targets in one build: the programs that tests start come from the same artefacts as the tests.
    steps.push(Step::new("build", || {
        execute(&mut workspace_cargo(&["build", "--workspace", "--all-targets"]))
    }));
    steps.push(Step::new("unit and integration", || {
        let mut tests = workspace_cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"]);
        tests.args(args.filter.as_deref());
        execute(&mut tests)
    }));
    if args.filter.is_none() {
        steps.push(Step::new("documentation examples", || {
            execute(&mut workspace_cargo(&["test", "--workspace", "--doc"]))
        }));
    }
    if !fast {
        steps.push(Step::new("documentation", || {
            execute(workspace_cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
        }));
        steps.push(Step::new("shop's manifest", || {
            execute(Command::new(workspace.debug("trellis")).arg("check").arg(workspace.manifest()))
        }));
    }
    steps::run(&steps)
}

/// Tests mostly wait for processes and databases, so two at once keep two cores busy; past eight they only contend.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8)
}
