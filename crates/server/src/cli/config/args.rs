//! What is written after `trellis config`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::cli::args::{Client, Source};

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print every setting of the platform, its value and where that came from.
    #[command(after_help = "\
Examples:
  trellis config dump
  TRELLIS_PHASE=monolith trellis config dump -f shop/trellis.toml --json")]
    Dump(Source),
    /// Print the value of a key.
    #[command(after_help = "\
Examples:
  trellis config get shop/dev/orders/limits
  trellis config get shop/dev/orders/limits --instance orders-1 --label zone=b   # as that instance gets it
  trellis config get shop/dev/db/password --reveal")]
    Get {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        look: Look,
    },
    /// Write a key.
    #[command(after_help = "\
Examples:
  trellis config set shop/dev/orders/limits '{\"max\": 10}' --reason 'more stock'
  trellis config set shop/dev/orders/limits --file limits.json --cas 3    # only if it is at version 3
  trellis config set shop/dev/motd 'Hello' --format text
  pass show db | trellis config set shop/dev/db/password --file - --format text --secret")]
    Set {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        value: Input,
        /// It is a secret from now on: sealed on disk, shown as `***`. Only from a file or standard input.
        #[arg(long)]
        secret: bool,
        #[command(flatten)]
        about: About,
    },
    /// Delete a key; `rollback` brings it back, unless it is purged.
    #[command(after_help = "\
Examples:
  trellis config delete shop/dev/orders/limits --cas 4
  trellis config delete shop/dev/orders/limits --purge    # with its history, for ever")]
    Delete {
        #[command(flatten)]
        at: At,
        /// Remove its history, too: it counts no longer, and cannot be brought back.
        #[arg(long)]
        purge: bool,
        #[command(flatten)]
        about: About,
    },
    /// List keys.
    #[command(after_help = "\
Examples:
  trellis config list shop/dev
  trellis config list shop/dev/orders/ --json | jq '.items[].key'")]
    List {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        look: Look,
    },
    /// List the versions of a key, newest first.
    #[command(after_help = "Example:\n  trellis config history shop/dev/orders/limits --limit 5")]
    History {
        #[command(flatten)]
        at: At,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Show secrets: on the platform's own machine, if `[config] allow_reveal = true`.
        #[arg(long)]
        reveal: bool,
    },
    /// Show what is different between two versions of a key.
    #[command(after_help = "Example:\n  trellis config diff shop/dev/orders/limits 3 5")]
    Diff {
        #[command(flatten)]
        at: At,
        /// The earlier version.
        from: u64,
        /// The later version.
        to: u64,
        /// Show secrets: on the platform's own machine, if `[config] allow_reveal = true`.
        #[arg(long)]
        reveal: bool,
    },
    /// Bring back the value of an earlier version, as a new version.
    #[command(
        after_help = "Example:\n  trellis config rollback shop/dev/orders/limits 3 --reason 'orders failed'"
    )]
    Rollback {
        #[command(flatten)]
        at: At,
        /// The version to bring back.
        to: u64,
        #[command(flatten)]
        about: About,
    },
    /// Print keys as they change, until Ctrl-C.
    #[command(after_help = "\
Examples:
  trellis config watch shop/dev/orders/
  trellis config watch shop/dev --json | jq -c .")]
    Watch {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        look: Look,
    },
    /// Show who changed what, newest first.
    #[command(after_help = "Example:\n  trellis config audit shop/dev/orders/")]
    Audit {
        #[command(flatten)]
        at: At,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show the JSON Schemas, attach one to a key and all below it, or remove it.
    #[command(after_help = "\
Examples:
  trellis config schema shop/dev                               # all of them
  trellis config schema shop/dev/orders --file orders.json     # attach
  trellis config schema shop/dev/orders --remove")]
    Schema {
        #[command(flatten)]
        at: At,
        /// The schema; `-` for standard input.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "remove")]
        file: Option<PathBuf>,
        /// Take it away.
        #[arg(long)]
        remove: bool,
        #[command(flatten)]
        about: About,
    },
    /// Give some instances another value, and make it the value for all, or drop it.
    #[command(after_help = "\
Examples:
  trellis config gray shop/dev/orders/limits '{\"max\": 20}' --share 0.1
  trellis config gray shop/dev/orders/limits '{\"max\": 20}' --label zone=b
  trellis config gray shop/dev/orders/limits '{\"max\": 20}' --when \"instance.id.startsWith('canary-')\"
  trellis config gray shop/dev/orders/limits --promote
  trellis config gray shop/dev/orders/limits --abort")]
    Gray {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        value: Input,
        /// This share of the instances, from 0 to 1.
        #[arg(long)]
        share: Option<f64>,
        /// Instances with this label; may be repeated.
        #[arg(long, value_name = "NAME=VALUE")]
        label: Vec<String>,
        /// Instances for which this CEL condition over `instance.id` and `labels` holds.
        #[arg(long, value_name = "CEL")]
        when: Option<String>,
        /// Make the candidate the value for all.
        #[arg(long, conflicts_with_all = ["value", "file", "share", "label", "when", "abort"])]
        promote: bool,
        /// Drop the candidate.
        #[arg(long, conflicts_with_all = ["value", "file", "share", "label", "when"])]
        abort: bool,
        #[command(flatten)]
        about: About,
    },
}

/// A key, and where the platform is.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// APP/ENVIRONMENT/KEY, such as shop/dev/orders/limits; for lists APP/ENVIRONMENT or the beginning of keys.
    #[arg(value_name = "APP/ENV/KEY")]
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// As whom a key is read.
#[derive(Debug, Args)]
pub(crate) struct Look {
    /// The instance that asks.
    #[arg(long, value_name = "ID")]
    pub(crate) instance: Option<String>,
    /// A label of it; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "instance")]
    pub(crate) label: Vec<String>,
    /// Show secrets: on the platform's own machine, if `[config] allow_reveal = true`.
    #[arg(long)]
    pub(crate) reveal: bool,
}

/// A value, from one of three places.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// The value.
    #[arg(conflicts_with = "file")]
    pub(crate) value: Option<String>,
    /// A file with the value; `-` for standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// What kind of text it is; that of the file's name, or JSON, if not given.
    #[arg(long)]
    pub(crate) format: Option<Format>,
}

/// What kind of text a value is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    Json,
    Toml,
    Yaml,
    Text,
}

/// What is said beside a change.
#[derive(Debug, Args)]
pub(crate) struct About {
    /// Only if the key is at this version; 0: only if there is none.
    #[arg(long, value_name = "VERSION")]
    pub(crate) cas: Option<u64>,
    /// Why, for the audit.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Who, for the audit.
    #[arg(long, env = "USER", hide_env = true)]
    pub(crate) actor: Option<String>,
}
