use serde_json::{Value, json};
use trellis_expr::{Error, Expression, Limits};

use crate::compile;

fn steps(source: &str, input: &Value, max_steps: u64) -> Result<Value, Error> {
    let limits = Limits { max_steps, ..Limits::default() };
    let input = input.as_object().expect("an object");
    Expression::compile(source, limits).expect(source).evaluate(input)
}

#[test]
fn a_long_source_is_refused() {
    let source = format!("'{}'", "x".repeat(5000));
    let limits = Limits::default();
    assert_eq!(
        Expression::compile(&source, limits).unwrap_err(),
        Error::TooLong { bytes: 5002, limit: 4096 }
    );
    // Whatever is asked for, the parser's stack sets a limit.
    let greedy = Limits { max_source_bytes: usize::MAX, ..limits };
    let source = "1".repeat(20_000);
    assert_eq!(
        Expression::compile(&source, greedy).unwrap_err(),
        Error::TooLong { bytes: 20_000, limit: 16_384 }
    );
}

/// The forms of nesting the grammar has, `n` deep.
fn nested(n: usize) -> Vec<String> {
    let around =
        |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    vec![
        around("[", "1", "]"),
        around("{1:", "1", "}"),
        around("size(", "a", ")"),
        around("true?1:", "1", ""),
        around("a.map(x,", "1", ")"),
        around("", "a", ".a"),
        around("", "a", "[0]"),
        around("", "a", ".size()"),
        around("", "a", ".map(x,x)"),
        around("1+", "1", ""),
        around("1<", "1", ""),
        around("-1-", "1", ""),
    ]
}

#[test]
fn deep_nesting_is_refused_whatever_its_form() {
    for n in [40, 200, 2000] {
        for source in nested(n).into_iter().filter(|s| s.len() <= Limits::MAX_SOURCE_BYTES) {
            let limits = Limits { max_source_bytes: Limits::MAX_SOURCE_BYTES, ..Limits::default() };
            let error = Expression::compile(&source, limits).expect_err(&source);
            assert_eq!(error, Error::TooDeep { limit: 32 }, "{n} of {}", &source[..12]);
        }
    }
    // Brackets that only group leave no trace, but the parser has to go through them.
    assert!(
        Expression::compile(&format!("{}1{}", "(".repeat(2000), ")".repeat(2000)), Limits::default())
            .is_err()
    );
    compile(&format!("{}1{}", "(".repeat(20), ")".repeat(20)));
}

#[test]
fn the_deepest_expression_fits_a_small_stack() {
    // What is left of a runtime thread's 2 MB when a server has used a quarter.
    let run = || {
        let input = json!({"a": [[[1]]]});
        for n in 1..=32 {
            for source in nested(n) {
                if let Ok(expression) = Expression::compile(&source, Limits::default()) {
                    let _ = expression.evaluate(input.as_object().unwrap());
                }
            }
        }
    };
    std::thread::Builder::new().stack_size(1536 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn loops_over_much_data_are_stopped() {
    let list: Vec<_> = (0..3000).collect();
    let text = "x".repeat(100_000);
    let input = json!({"l": list, "t": text});
    for source in [
        "l.map(a, l.map(b, a + b))",
        "l.map(a, l)",
        "l.map(a, [l, l][0])",
        "l.map(a, {'k': l})",
        "l.map(a, true ? l : l)",
        "l.map(a, l + l)",
        "l.map(a, t + t)",
        "l.map(a, [t])",
        "l.filter(a, l == l)",
        "l.filter(a, 9999 in l)",
        "l.exists(a, l.exists(b, l.exists(c, false)))",
        "l.exists(a, sum(l) < 0)",
        "l.all(a, t.contains('y') || true)",
        "l.all(a, t < t || true)",
        "l.map(a, string(a).matches('(a|b)*c'))",
        "l.map(a, [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0])",
    ] {
        assert_eq!(steps(source, &input, 100_000), Err(Error::TooExpensive), "{source}");
    }
}

#[test]
fn a_swallowed_error_does_not_open_the_budget_again() {
    let list: Vec<_> = (0..3000).collect();
    let result =
        steps("l.exists(a, l.map(b, b) == [] || false) || sum(l.map(a, 1)) > 0", &json!({"l": list}), 20_000);
    assert_eq!(result, Err(Error::TooExpensive));
}

#[test]
fn the_input_itself_is_charged() {
    let input = json!({"l": vec![0; 1000], "other": vec![0; 1000]});
    assert_eq!(steps("size(l)", &input, 500), Err(Error::TooExpensive));
    assert_eq!(steps("size(l)", &input, 1500), Ok(json!(1000)), "what is not used costs nothing");
}

#[test]
fn ordinary_work_fits_the_default() {
    let order = json!({"id": 1, "user_id": 7, "amount": 12.5, "status": "completed"});
    let input = json!({"orders": vec![order; 40_000]});
    let source = "sum(orders.filter(o, o.status != 'cancelled').map(o, o.amount))";
    assert_eq!(compile(source).evaluate(input.as_object().unwrap()), Ok(json!(500_000)));
}
