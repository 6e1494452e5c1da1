use proptest::prelude::*;
use serde_json::json;

use super::*;

fn item() -> Value {
    json!({
        "Node": {"Node": "n1", "Meta": {"rack": "r1", "a.b": "c"}},
        "Service": {"Service": "web", "Port": 80, "Tags": ["v1", "tag:foo:1"], "Meta": {}, "EnableTagOverride": false},
        "Status": "passing",
    })
}

fn matches(text: &str) -> Result<bool, Error> {
    Filter::parse(text).and_then(|filter| filter.matches(&item()))
}

#[test]
fn what_holds_and_what_does_not() {
    let cases = [
        ("Service.Service == web", true),
        ("Service.Service != web", false),
        (r#"Service.Service == "web""#, true),
        ("Service.Port == 80", true),
        ("Service.Port != 81", true),
        ("Service.EnableTagOverride == false", true),
        (r#""tag:foo:1" in Service.Tags"#, true),
        ("v1 in Service.Tags", true),
        ("v2 in Service.Tags", false),
        ("v2 not in Service.Tags", true),
        ("Service.Tags contains v1", true),
        ("Service.Tags not contains v1", false),
        ("rack in Node.Meta", true),
        ("Node.Meta.rack == r1", true),
        ("Node.Meta.other == r1", false),
        ("Node.Meta.other != r1", true),
        ("Node.Meta.other is empty", true),
        (r#"Node.Meta["a.b"] == c"#, true),
        (r#""/Node/Meta/rack" == "r1""#, true),
        ("Service.Meta is empty", true),
        ("Service.Tags is not empty", true),
        ("Service.Service matches `^w.b$`", true),
        ("Service.Service not matches `^x`", true),
        ("Status == passing and Service.Port == 81 or Service.Service == web", true),
        ("Status == passing and (Service.Port == 81 or Service.Service == api)", false),
        ("not Status == critical", true),
        ("not (Status == passing)", false),
        ("Status == critical or not not Service.Port == 80", true),
        ("eb in Service.Service", true),
        ("Node.Node != `` ", true),
    ];
    for (text, holds) in cases {
        assert_eq!(matches(text), Ok(holds), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_consuls_words() {
    let wrong = [
        "not a valid expression((",
        "",
        "Status",
        "Status ==",
        "== passing",
        "Status = passing",
        "(Status == passing",
        "Status == passing)",
        "Status is full",
        "\"x\" in",
        "Status matches `(`",
        "Status == \"passing",
        "Service. == 1",
        "5 == 5",
    ];
    for text in wrong {
        let error = Filter::parse(text).unwrap_err().to_string();
        assert!(error.starts_with("Failed to create boolean expression evaluator: "), "{text}: {error}");
    }
    for text in
        ["Nothing == 1", "Service.Nothing == 1", "Service.Port == x", "Service == 1", "Service.Port is empty"]
    {
        assert!(matches!(matches(text), Err(Error::Evaluation(_))), "{text}");
    }
}

#[test]
fn depth_length_and_regular_expressions_are_bounded() {
    let nested = format!("{}Status == passing{}", "(".repeat(500), ")".repeat(500));
    assert!(Filter::parse(&nested).is_err());
    assert!(Filter::parse(&format!("{}Status == passing", "not ".repeat(500))).is_err());
    assert!(Filter::parse(&format!("Status == `{}`", "x".repeat(MAX_LENGTH))).is_err());
    assert!(Filter::parse("Status matches `(a{1000}){1000}`").is_err());
}

/// A condition, and whether it holds for the item.
fn condition() -> impl Strategy<Value = (String, bool)> {
    let leaf = prop_oneof![
        Just(("Status == passing".to_owned(), true)),
        Just(("Service.Port == 81".to_owned(), false)),
        Just((r#""v1" in Service.Tags"#.to_owned(), true)),
        Just(("Service.Meta is not empty".to_owned(), false)),
    ];
    leaf.prop_recursive(4, 32, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| (format!("({}) and ({})", a.0, b.0), a.1 && b.1)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| (format!("({}) or ({})", a.0, b.0), a.1 || b.1)),
            inner.prop_map(|a| (format!("not ({})", a.0), !a.1)),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_understood_or_refused(text in ".{0,200}") {
        let _ = matches(&text);
    }

    #[test]
    fn words_in_any_order_are_understood_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "Status", "Service", ".", "Tags", "==", "!=", "in", "not", "and", "or", "(", ")", "[", "]", "is",
                "empty", "contains", "matches", "\"x\"", "`y`", "80", "\"/a/b\"",
            ]),
            0..24,
        )
    ) {
        let _ = matches(&words.join(" "));
    }

    #[test]
    fn conditions_are_joined_as_logic_has_it((text, holds) in condition()) {
        prop_assert_eq!(matches(&text), Ok(holds), "{}", text);
    }
}
