//! One thing that is wrong with a manifest.

use std::ops::Range;

use trellis_core::{Code, codes};

use super::path::Path;

/// Where a mistake was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Bytes of the text, for what is not even TOML.
    Text(Range<usize>),
    /// The key at a path.
    Key(Path),
    /// The value at a path.
    Value(Path),
    /// Not in the file: an option or environment variable that overrides it.
    Outside(String),
    /// The file as a whole.
    File,
}

/// What was found at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A value that should be another.
    Value(String),
    /// Anything else, in a sentence.
    Told(String),
}

/// What is wrong, where, what was expected there, and how to put it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The kind of failure; `trellis explain` knows more.
    pub code: Code,
    /// Where it is.
    pub place: Place,
    /// What was found.
    pub found: Found,
    /// What was expected there, as a noun; may be empty.
    pub expected: String,
    /// Stands at the place instead of what was expected, where that says more; may be empty.
    pub remark: String,
    /// How to put it right, one piece of advice each.
    pub help: Vec<String>,
    /// What this conclusion rests on. It is not drawn while one of these is itself mistaken: a module that is not
    /// there because its name is misspelt needs one message, not two.
    pub rests_on: Vec<Path>,
}

impl Mistake {
    /// A mistake of the usual code.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            code: codes::INVALID_MANIFEST,
            place,
            found: Found::Told(message.into()),
            expected: String::new(),
            remark: String::new(),
            help: Vec::new(),
            rests_on: Vec::new(),
        }
    }

    /// The value at `path` is `found` where something else is `expected`.
    pub fn value(path: Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        let found = Found::Value(found.into());
        Self { found, ..Self::new(Place::Value(path), "") }.expected(expected)
    }

    /// What was found, in a sentence.
    pub fn message(&self) -> String {
        match (&self.found, self.path()) {
            (Found::Value(value), Some(path)) => format!("`{path}` is {value}"),
            (Found::Value(text), None) | (Found::Told(text), _) => text.clone(),
        }
    }

    /// Says what was expected there.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// Says something else at the place than what was expected.
    #[must_use]
    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = remark.into();
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn help(mut self, advice: impl Into<String>) -> Self {
        self.help.push(advice.into());
        self
    }

    /// Adds "did you mean" if something was found that may have been meant.
    #[must_use]
    pub fn did_you_mean(self, candidate: Option<&str>) -> Self {
        match candidate {
            Some(candidate) => self.help(format!("did you mean `{candidate}`?")),
            None => self,
        }
    }

    /// Says what the conclusion rests on.
    #[must_use]
    pub fn rests_on(mut self, paths: impl IntoIterator<Item = Path>) -> Self {
        self.rests_on.extend(paths);
        self
    }

    /// Gives it another code.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Corrects the path.
    pub(super) fn move_to(&mut self, target: impl Fn(&Path) -> Path) {
        if let Place::Key(path) | Place::Value(path) = &mut self.place {
            *path = target(path);
        }
        for path in &mut self.rests_on {
            *path = target(path);
        }
    }

    /// Its path, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Key(path) | Place::Value(path) => Some(path),
            Place::Text(_) | Place::Outside(_) | Place::File => None,
        }
    }
}
