//! The two roles that `trellis up` lets `trellis` play for its own child processes.

use std::ffi::OsStr;

/// What such a process is to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Becomes a module's program.
    Launcher,
    /// Ends what a platform left behind.
    Guardian,
}

impl Role {
    /// The argument that asks for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Launcher => "launch",
            Self::Guardian => "guardian",
        }
    }

    /// What an argument asks for.
    pub(crate) fn from_word(word: &OsStr) -> Option<Self> {
        [Self::Launcher, Self::Guardian].into_iter().find(|role| word == role.word())
    }
}
