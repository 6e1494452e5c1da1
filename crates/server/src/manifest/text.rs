//! The text of a manifest: lines, columns, and a copy without secrets.

use std::ops::Range;

use super::tree::Node;
use crate::secrets;

/// A manifest's text and what to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// The file, as the user named it.
    pub name: String,
    /// What is in it.
    pub content: String,
    /// Where its lines begin.
    lines: Vec<usize>,
}

/// A line with something to point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1.
    pub number: usize,
    /// Where it is in the text, without its end.
    pub bytes: Range<usize>,
    /// What to point at, in bytes from the start of the line.
    pub caret: Range<usize>,
}

/// A place for people: both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Text {
    /// The text of the file `name`.
    pub(crate) fn new(name: String, text: String) -> Self {
        let after = text.match_indices('\n').map(|(newline, _)| newline + 1);
        let lines = std::iter::once(0).chain(after).collect();
        Self { name, content: text, lines }
    }

    /// The line and column of a byte offset; an offset past the end is the end.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = self.content.floor_char_boundary(offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line.saturating_sub(1)];
        Position { line, column: self.content[start..offset].chars().count() + 1 }
    }

    /// The line that `span` begins on, and the part of `span` that is on it, so that a caret fits under it.
    pub(crate) fn line_of(&self, span: &Range<usize>) -> Line {
        let start = self.content.floor_char_boundary(span.start);
        let number = self.lines.partition_point(|line| *line <= start);
        let line = self.lines[number.saturating_sub(1)];
        let length = self.content[line..].split(['\n', '\r']).next().unwrap_or_default().len();
        let end = self.content.ceil_char_boundary(span.end).clamp(start, (line + length).max(start));
        Line { number, bytes: line..(line + length).max(end), caret: start - line..end - line }
    }

    /// The same text, line for line and byte for byte as long, with `*` for passwords in URLs and for the values in
    /// `env` tables whose name says that they are secret.
    pub(crate) fn without_secrets(&self, tree: Option<&Node>) -> String {
        let mut bytes = self.content.clone().into_bytes();
        let leaves = tree.map(Node::leaves).unwrap_or_default();
        let spans = leaves
            .iter()
            .filter(|(path, _)| path.parent().name() == "env" && secrets::is_secret_name(path.name()))
            .map(|(_, node)| node.value.clone())
            .chain(secrets::passwords_in(&self.content));
        for span in spans {
            for byte in &mut bytes[span] {
                if *byte != b'\n' {
                    *byte = b'*';
                }
            }
        }
        // Whole values are replaced, so characters stay whole.
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        Text::new("t".into(), text.into())
    }

    #[test]
    fn columns_count_characters() {
        let text = text("a = 1\nü = 'ß' # x\n");
        let offset = text.content.find('#').unwrap();
        assert_eq!(text.position(offset), Position { line: 2, column: 9 });
        assert_eq!(text.position(9999), Position { line: 3, column: 1 });
    }

    #[test]
    fn a_long_span_ends_with_its_line() {
        let text = text("a = [\n1,\n]\n");
        assert_eq!(text.line_of(&(4..10)), Line { number: 1, bytes: 0..5, caret: 4..5 });
        assert_eq!(text.line_of(&(5..5)), Line { number: 1, bytes: 0..5, caret: 5..5 });
        assert_eq!(text.line_of(&(11..99)), Line { number: 4, bytes: 11..11, caret: 0..0 });
    }

    #[test]
    fn passwords_are_not_shown() {
        let text = text("database = \"postgres://u:pä@h/db\"\n");
        assert_eq!(text.without_secrets(None), "database = \"postgres://u:***@h/db\"\n");
    }
}
