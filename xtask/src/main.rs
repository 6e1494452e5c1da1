//! `cargo xtask`: everything around the product - running it, testing it, measuring it.

mod bench;
mod command;
#[cfg(test)]
mod docs;
mod fuzz;
mod interop;
mod peers;
#[cfg(test)]
mod rules;
mod setup;
mod steps;
mod test;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Runs, tests and measures Trellis")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Up(up::Args),
    /// Installs what the tests need and is missing: PostgreSQL, Redis, Python with grpcio
    #[command(after_help = setup::HELP)]
    Setup,
    Test(test::Args),
    Bench(bench::BenchArgs),
    Chaos(bench::ChaosArgs),
    Fuzz(fuzz::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::say(&format!("\nerror: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Up(args) => up::run(&workspace, &args),
        Task::Setup => setup::run(&workspace),
        Task::Test(args) => test::run(&workspace, &args),
        Task::Bench(args) => bench::bench(&workspace, &args),
        Task::Chaos(args) => bench::chaos(&workspace, &args),
        Task::Fuzz(args) => fuzz::run(&workspace, &args),
    }
}
