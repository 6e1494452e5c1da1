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
    pub text: String,
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
    /// The line and column of a byte offset; an offset past the end is the end.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The part of `span` that is on its first line, so that a caret under it fits on one line.
    pub(crate) fn first_line_of(&self, span: Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        let line = self.text[start..].split(['\n', '\r']).next().unwrap_or_default();
        start..(start + line.len()).min(self.text.ceil_char_boundary(span.end).max(start))
    }

    /// The same text, line for line and byte for byte as long, with `*` for passwords in URLs and for the values in
    /// `env` tables whose name says that they are secret.
    pub(crate) fn without_secrets(&self, tree: Option<&Node>) -> String {
        let mut bytes = self.text.clone().into_bytes();
        let leaves = tree.map(Node::leaves).unwrap_or_default();
        let spans = leaves
            .iter()
            .filter(|(path, _)| path.parent().name() == "env" && secrets::is_secret_name(path.name()))
            .map(|(_, node)| node.value.clone())
            .chain(secrets::passwords_in(&self.text));
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

    #[test]
    fn columns_count_characters() {
        let text = Text { name: "t".into(), text: "a = 1\nü = 'ß' # x\n".into() };
        let offset = text.text.find('#').unwrap();
        assert_eq!(text.position(offset), Position { line: 2, column: 9 });
        assert_eq!(text.position(9999), Position { line: 3, column: 1 });
    }

    #[test]
    fn a_long_span_ends_with_its_line() {
        let text = Text { name: "t".into(), text: "a = [\n1,\n]\n".into() };
        assert_eq!(text.first_line_of(4..10), 4..5);
        assert_eq!(text.first_line_of(5..5), 5..5);
    }

    #[test]
    fn passwords_are_not_shown() {
        let text = Text { name: "t".into(), text: "database = \"postgres://u:pä@h/db\"\n".into() };
        assert_eq!(text.without_secrets(None), "database = \"postgres://u:***@h/db\"\n");
    }
}
