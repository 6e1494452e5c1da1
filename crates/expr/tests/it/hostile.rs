use proptest::prelude::*;
use serde_json::json;
use trellis_expr::{Expression, Limits};

/// Compiles and, where that works, evaluates: neither may panic, whatever comes of it.
fn survive(source: &str) {
    if let Ok(expression) = Expression::compile(source, Limits { max_steps: 10_000, ..Limits::default() }) {
        let input = json!({"a": [1, 2.5, "x", null], "b": {"a": {"b": true}}, "c": "text"});
        let _ = expression.evaluate(input.as_object().expect("an object"));
    }
}

fn fragment() -> impl Strategy<Value = String> {
    let words = [
        "a",
        "b",
        "c",
        "x",
        "1",
        "2.5",
        "3u",
        "-",
        "+",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">",
        "&&",
        "||",
        "!",
        "?",
        ":",
        ".",
        ",",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "in",
        "has(",
        ".map(x,",
        ".filter(x,",
        ".all(x,",
        ".exists(x,",
        ".exists_one(x,",
        "size(",
        "sum(",
        "max(",
        "int(",
        "string(",
        "type(",
        "'t'",
        "\"q\"",
        "b'y'",
        "r'\\'",
        "'''",
        "true",
        "null",
        "\\",
        "\n",
        "//",
        "`",
        "@",
        "é",
        "\u{0}",
        "9223372036854775807",
        "1e308",
        "0x",
        ".?",
        "[?",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text(source in any::<String>()) {
        survive(&source);
    }

    #[test]
    fn any_sequence_of_tokens(source in fragment()) {
        survive(&source);
    }

    #[test]
    fn a_broken_expression(cut in 0_usize..64, insert in "[-()\\[\\]{}.,'\"a-z0-9 ]{0,3}") {
        let good = "sum(orders.filter(o, o.status != 'x').map(o, {'k': o.a[0] + 1}))";
        let (left, right) = good.split_at(cut);
        survive(&format!("{left}{insert}{right}"));
        survive(left);
    }
}
