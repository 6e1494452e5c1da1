//! The parser's errors in plain words.

use cel::ParseErrors;

use crate::error::{Error, Position};

const START: Position = Position { line: 1, column: 1 };

/// The error to show for a source that the parser did not survive.
pub(super) fn unreadable() -> Error {
    Error::Syntax { position: START, message: "this cannot be read as an expression".into() }
}

/// The first error of a source; the others mostly follow from it.
pub(super) fn explain(errors: &ParseErrors, max_depth: usize) -> Error {
    if errors.errors.iter().any(|e| e.msg.contains("Recursion limit")) {
        return Error::TooDeep { limit: max_depth };
    }
    let is_syntax = |message: &str| message.starts_with("Syntax error");
    let first = errors.errors.iter().find(|e| is_syntax(&e.msg)).or(errors.errors.first());
    let Some(first) = first else { return unreadable() };
    let at = |n: isize| usize::try_from(n).unwrap_or(1).max(1);
    Error::Syntax {
        position: Position { line: at(first.pos.0), column: at(first.pos.1) },
        message: sentence(&first.msg),
    }
}

fn sentence(message: &str) -> String {
    let text = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let (what, expected) =
        text.split_once(" expecting ").map_or((text, None), |(what, set)| (what, Some(set)));
    if let Some(set) = expected {
        return format!("expected {}, found {}", wanted(set), quoted(what));
    }
    if what.starts_with("missing ") {
        let (missing, found) = what.split_once(" at ").unwrap_or((what, ""));
        return format!("expected {}, found {}", quoted(missing), quoted(found));
    }
    if what.starts_with("no viable alternative") {
        return format!("{} does not continue the expression", quoted(what));
    }
    if what.starts_with("token recognition error") {
        return format!("{} is not understood; is a quote or an operator incomplete?", quoted(what));
    }
    // What is left comes from literals and macros, and may end in the debug form of a value.
    what.split(": ").next().unwrap_or(what).replace('`', "")
}

/// What is between the first and the last quote.
fn quoted(text: &str) -> String {
    let inner =
        text.find('\'').zip(text.rfind('\'')).filter(|(a, b)| a < b).map_or("", |(a, b)| &text[a + 1..b]);
    match inner {
        "<EOF>" | "" => "the end".into(),
        inner => format!("`{inner}`"),
    }
}

/// The grammar's tokens, grouped the way people think of them.
fn wanted(set: &str) -> String {
    if set.contains("NUM_INT") {
        return "a value (a name, number, text, list or map)".into();
    }
    if set.trim() == "<EOF>" {
        return "an operator or the end".into();
    }
    let tokens = set.trim_matches(['{', '}']).split(", ").map(|token| token.trim_matches('\''));
    let (mut words, mut operator) = (Vec::new(), false);
    for token in tokens {
        match token {
            ")" | "]" | "}" | "," | ":" => words.push(format!("`{token}`")),
            "IDENTIFIER" | "ESC_IDENTIFIER" => words.push("a name".into()),
            _ => operator = true,
        }
    }
    if operator {
        words.insert(0, "an operator".into());
    }
    words.dedup();
    words.join(" or ")
}
