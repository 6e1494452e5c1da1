//! All mistakes of one manifest, for people and for programs.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;
use trellis_core::{Code, Error, codes};

use super::mistake::{Mistake, Place};
use super::text::{Position, Text};
use super::tree::Node;

/// Most mistakes that people are shown at once.
const RENDERED: usize = 500;

/// Why a manifest cannot be used: every mistake, in the order of the text.
#[derive(Debug, Clone)]
pub struct Report {
    text: Text,
    shown: String,
    mistakes: Vec<(Option<Range<usize>>, Mistake)>,
}

/// One mistake as `trellis check --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind of failure.
    pub code: &'static str,
    /// The file.
    pub file: String,
    /// Line, from 1; absent if the mistake is not in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The key, such as `route[0].path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What was found.
    pub message: String,
    /// What was expected.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// How to put it right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
}

impl Report {
    /// Places `mistakes` in `text`, whose values `tree` knows.
    pub(super) fn new(text: Text, tree: Option<&Node>, mistakes: Vec<Mistake>) -> Self {
        let shown = text.without_secrets(tree);
        let mut mistakes: Vec<_> =
            mistakes.into_iter().map(|mistake| (span(&mistake.place, tree), mistake)).collect();
        mistakes.sort_by_key(|(span, _)| span.as_ref().map_or(0, |span| span.start));
        Self { text, shown, mistakes }
    }

    /// How many mistakes there are.
    pub fn len(&self) -> usize {
        self.mistakes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// For programs.
    pub fn findings(&self) -> Vec<Finding> {
        self.mistakes
            .iter()
            .map(|(span, mistake)| {
                let position = span.as_ref().map(|span| self.text.position(span.start));
                Finding {
                    code: mistake.code.id,
                    file: self.text.name.clone(),
                    line: position.map(|Position { line, .. }| line),
                    column: position.map(|Position { column, .. }| column),
                    path: mistake.path().map(ToString::to_string),
                    message: mistake.message(),
                    expected: mistake.expected.clone(),
                    help: mistake.help.clone(),
                }
            })
            .collect()
    }

    /// For people, in the manner of rustc.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for (span, mistake) in self.mistakes.iter().take(RENDERED) {
            text.push_str(&renderer.render(&[self.group(span.as_ref(), mistake)]));
            text.push_str("\n\n");
        }
        let count = match self.len() {
            1 => "1 mistake".to_owned(),
            n if n > RENDERED => format!("{n} mistakes, {RENDERED} of them shown (--json lists all)"),
            n => format!("{n} mistakes"),
        };
        text + &format!("{}: {count}; `trellis explain {}` tells more\n", self.text.name, self.code().id)
    }

    /// The one error that stands for all of them.
    pub fn error(&self) -> Error {
        let first = self.mistakes.first().map(|(_, mistake)| mistake.message()).unwrap_or_default();
        Error::new(
            self.code(),
            format!("{} has {} mistake(s); the first: {first}", self.text.name, self.len()),
        )
    }

    fn code(&self) -> Code {
        match self.mistakes.as_slice() {
            [(_, only)] => only.code,
            _ => codes::INVALID_MANIFEST,
        }
    }

    fn group<'a>(&'a self, span: Option<&Range<usize>>, mistake: &'a Mistake) -> Group<'a> {
        let title = Level::ERROR.primary_title(mistake.message()).id(mistake.code.id);
        let mut group = match span {
            Some(span) => {
                let line = self.text.line_of(span);
                let caret = AnnotationKind::Primary.span(line.caret);
                let caret = match label(mistake) {
                    Some(label) => caret.label(label),
                    None => caret,
                };
                // Only the line: the whole text would be looked through once for each mistake.
                let source = Snippet::source(&self.shown[line.bytes]).line_start(line.number);
                title.element(source.path(self.text.name.as_str()).annotation(caret))
            }
            None => match label(mistake) {
                Some(label) => title.element(Level::NOTE.message(label)),
                None => Group::with_title(title),
            },
        };
        if let Place::Outside(origin) = &mistake.place {
            group = group.element(Level::NOTE.message(format!("given by {origin}")));
        }
        for advice in &mistake.help {
            group = group.element(Level::HELP.message(advice.as_str()));
        }
        group
    }
}

fn label(mistake: &Mistake) -> Option<String> {
    match (mistake.remark.as_str(), mistake.expected.as_str()) {
        ("", "") => None,
        ("", expected) => Some(format!("expected {expected}")),
        (remark, _) => Some(remark.to_owned()),
    }
}

fn span(place: &Place, tree: Option<&Node>) -> Option<Range<usize>> {
    match place {
        Place::Text(span) => Some(span.clone()),
        Place::Key(path) => {
            let node = tree?.nearest(path);
            Some(node.key.clone().unwrap_or_else(|| node.value.clone()))
        }
        Place::Value(path) => Some(tree?.nearest(path).value.clone()),
        Place::Outside(_) => None,
        Place::File => tree.map(|_| 0..0),
    }
}
