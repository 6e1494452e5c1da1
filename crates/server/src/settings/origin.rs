//! Where a value came from.

use std::fmt;

use serde::{Serialize, Serializer};

/// The layer that gave a value, from the weakest to the strongest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// Found out from the folder, because there is no `trellis.toml`.
    Folder,
    /// A line of a file.
    File {
        /// The file, as the user named it.
        name: String,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Environment(&'static str),
    /// An option of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Folder => f.write_str("the only program in the folder"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
