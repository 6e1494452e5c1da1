//! What is different between two versions: by JSON pointer, and by line.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

/// One place that is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// JSON pointer; empty for the whole.
    pub pointer: String,
    /// What was there; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is there; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// All that is different between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffView {
    /// The earlier version.
    pub from: u64,
    /// The later one.
    pub to: u64,
    /// Place by place.
    pub differences: Vec<Difference>,
    /// Line by line: ` ` for both, `-` for the earlier one only, `+` for the later one only.
    pub text: String,
}

/// More lines than this are not compared one by one.
const MAX_LINES: usize = 1_000;

/// The places that are different. Lists are compared item by item.
pub fn diff(before: Option<&Value>, after: Option<&Value>) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(String::new(), before, after, &mut found);
    found
}

fn walk(pointer: String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                walk(format!("{pointer}/{escaped}"), old.get(key), new.get(key), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                walk(format!("{pointer}/{index}"), old.get(index), new.get(index), found);
            }
        }
        _ if before == after => {}
        _ => found.push(Difference { pointer, before: before.cloned(), after: after.cloned() }),
    }
}

/// Line by line.
pub(crate) fn lines(before: &str, after: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let mut text = String::new();
    let mut say = |sign: char, line: &str| {
        let _ = writeln!(text, "{sign}{line}");
    };
    if old.len() > MAX_LINES || new.len() > MAX_LINES {
        for line in &old {
            say('-', line);
        }
        for line in &new {
            say('+', line);
        }
        return text;
    }
    // Lengths of the longest common rest from each pair of lines on.
    let width = new.len() + 1;
    let mut common = vec![0_u16; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            say(' ', old[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            say('-', old[i]);
            i += 1;
        } else {
            say('+', new[j]);
            j += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_named() {
        let (before, after) =
            (json!({"a": 1, "b/c": [1, 2], "d": {"e": 1}}), json!({"a": 1, "b/c": [1, 3, 4], "f": null}));
        let found: Vec<_> = diff(Some(&before), Some(&after)).into_iter().map(|d| d.pointer).collect();
        assert_eq!(found, ["/b~1c/1", "/b~1c/2", "/d", "/f"]);
        assert!(diff(Some(&before), Some(&before)).is_empty());
        assert_eq!(diff(None, Some(&json!(1)))[0].pointer, "");
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_from_the_lines(old in "([ab]\n){0,8}", new in "([ab]\n){0,8}") {
            let text = lines(&old, &new);
            let side = |sign: char| -> String {
                let mine = |line: &&str| line.starts_with(' ') || line.starts_with(sign);
                text.lines().filter(mine).flat_map(|line| [&line[1..], "\n"]).collect()
            };
            prop_assert_eq!(side('-'), old);
            prop_assert_eq!(side('+'), new);
        }
    }
}
