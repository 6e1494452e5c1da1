use serde_json::json;
use trellis_expr::{Error, Expression, Limits};

use crate::{run, shop};

fn refused(source: &str) -> String {
    Expression::compile(source, Limits::default()).expect_err(source).to_string()
}

#[test]
fn a_source_that_is_not_cel_says_where_and_what_was_expected() {
    for (source, expected) in [
        ("", "at character 1: expected a value (a name, number, text, list or map), found the end"),
        ("1 +", "at character 4: expected a value (a name, number, text, list or map), found the end"),
        (
            "\n\n  1 +* 2",
            "at line 3, character 6: expected a value (a name, number, text, list or map), found `*`",
        ),
        ("sum(orders", "at character 11: expected `)`, found the end"),
        ("a b", "at character 3: expected an operator or the end, found `b`"),
        ("o.filter(o o.x)", "at character 12: expected an operator or `)` or `,`, found `o`"),
        ("a ? b", "at character 6: expected an operator or `:`, found the end"),
        ("[1, 2", "at character 6: expected `]` or `,`, found the end"),
        ("a = b", "at character 3: `= ` is not understood; is a quote or an operator incomplete?"),
        ("x.y.", "at character 5: `.` does not continue the expression"),
        ("if", "at character 1: reserved identifier"),
        ("orders.map(1, 2)", "at character 12: argument must be a simple name"),
        ("99999999999999999999", "at character 1: invalid int literal"),
        ("a.?b", "at character 2: unsupported syntax '.?'"),
    ] {
        assert_eq!(refused(source), expected, "{source:?}");
    }
}

#[test]
fn a_call_of_nothing_says_what_was_meant() {
    assert_eq!(
        refused("1 + summ(x)"),
        "at character 9: there is no function \"summ\"; did you mean \"sum\"?"
    );
    assert_eq!(refused("x.lenght()"), "at character 9: there is no function \"lenght\"");
    assert_eq!(
        refused("filter(x)"),
        "at character 7: filter is not called like this: write has(a.b) or list.filter(x, ...)"
    );
    assert_eq!(refused("optional.none()"), "at character 14: there is no function \"none\"");
    assert_eq!(refused("[1, Money{cents: 5}]"), "at character 10: there is no type \"Money\" to build");
}

#[test]
fn data_that_does_not_fit_is_told_in_plain_words() {
    let input = shop();
    for (source, expected) in [
        ("ordres", r#"there is no value for "ordres""#),
        ("users[0].email", r#"there is no member "email""#),
        ("users.map(u, u.email)", r#"there is no member "email""#),
        ("users[7]", "a list has no element at the index"),
        ("users.name", "a member is asked of something that has none"),
        ("users + 1", "+ does not work on a list and a whole number"),
        ("'a' - 1", "- does not work on text and a whole number"),
        ("null + 1", "+ does not work on null and a whole number"),
        ("users[0].name > 1", "> does not work on text and a whole number"),
        ("!users", "! does not work on a list"),
        ("1 && true", "&& does not work on a whole number and true or false"),
        ("1 in 2", "in does not work on a whole number and a whole number"),
        ("1 ? 2 : 3", "expected true or false, found a whole number"),
        ("users[0].id.all(x, true)", "expected a list or a map, found a whole number"),
        ("size(1)", "size() does not work on a whole number"),
        ("sum(1)", "sum() does not work on a whole number"),
        ("sum(users)", "sum() needs a list of numbers, but element 0 is a map"),
        ("avg([])", "avg() has no answer for an empty list"),
        ("1 / 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("1.0 / 0", "division by zero"),
        ("1.0 / 0.0", "the result is not a finite number"),
        ("9223372036854775807 * 9223372036854775807", "a number is out of range"),
        ("sum([18446744073709551615u, 1])", "a number is out of range"),
        ("int('x')", "int(): string parse error: invalid digit found in string"),
        ("'a'.matches('(')", "matches(): '(' not a valid regex:"),
        ("b'abc'", "the result is bytes, which JSON cannot hold"),
        ("{'a': 1, 'a': 2}", "a map has the same key twice"),
        ("{1.5: 1}", "the key of a map must be text, a number, true or false"),
    ] {
        let error = run(source, &input).unwrap_err();
        assert_eq!(error.to_string(), expected, "{source}");
    }
}

#[test]
fn no_message_holds_data() {
    let input = json!({"secret": "tok_4242", "list": ["tok_4242"], "map": {"tok_4242": {"tok_4242": 1}}});
    for source in [
        "secret + 1",
        "secret - secret",
        "secret > 1",
        "-secret",
        "secret % 2",
        "list[secret]",
        "1 in secret",
        "sum(list)",
        "secret.x",
        "list < list",
        "map < map",
        "{list: 1}",
        "int(secret)",
        "double(secret)",
    ] {
        let error = run(source, &input).unwrap_err().to_string();
        assert!(!error.contains("4242"), "{source}: {error}");
    }
}

#[test]
fn a_missing_variable_is_its_own_error() {
    assert_eq!(run("a + b", &json!({"a": 1})), Err(Error::MissingVariable { name: "b".into() }));
}
