use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{compile, run, shop};

#[test]
fn the_dashboard_of_the_design() {
    assert_eq!(run("size(users)", &shop()), Ok(json!(2)));
    let revenue = run("sum(orders.filter(o, o.status != 'cancelled').map(o, o.amount))", &shop()).unwrap();
    assert_eq!(revenue.to_string(), "300");
}

#[test]
fn standard_cel() {
    let input = shop();
    for (source, expected) in [
        ("1 + 2 * 3", json!(7)),
        ("7 / 2", json!(3)),
        ("-7 % 4", json!(-3)),
        ("'a' + 'b' == 'ab'", json!(true)),
        ("[1, 2] + [3]", json!([1, 2, 3])),
        ("{'a': 1, 'b': [true, null]}", json!({"a": 1, "b": [true, null]})),
        ("{1: 'one', true: 2}", json!({"1": "one", "true": 2})),
        ("users[1].name", json!("Bob")),
        ("users[0]['id'] in [1, 5]", json!(true)),
        ("has(users[0].email) ? 'yes' : 'no'", json!("no")),
        ("users.all(u, u.id > 0) && users.exists(u, u.name == 'Bob')", json!(true)),
        ("orders.exists_one(o, o.amount > 150)", json!(true)),
        ("orders.filter(o, o.user_id == 2).map(o, o.id)", json!([2, 3])),
        (
            "users.map(u, {'n': u.name, 'orders': orders.filter(o, o.user_id == u.id).size()})",
            json!([{"n": "Alice", "orders": 1}, {"n": "Bob", "orders": 2}]),
        ),
        ("users[0].name.startsWith('Al') && users[0].name.matches('^A.*e$') && 'x'.size() == 1", json!(true)),
        ("string(1) + string(2.5)", json!("12.5")),
        ("int('42') + int(2.9)", json!(44)),
        ("type(1) == int && type('') == string", json!(true)),
        ("type(users)", json!("list")),
        ("false && 1 / 0 == 1", json!(false)),
        ("1 / 0 == 1 || true", json!(true)),
        ("orders.exists(o, o.missing == 1 || o.id == 2)", json!(true)),
        ("'größe'.size()", json!(5)),
        ("r'\\d' + \"\\n\"", json!("\\d\n")),
        ("orders", input["orders"].clone()),
    ] {
        let result = run(source, &input);
        // 100.0 comes back as 100, which is the same number.
        let same = result.as_ref().is_ok_and(|r| same_number(r, &expected));
        assert!(same, "{source}: {result:?}, not {expected}");
    }
}

fn same_number(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_number(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_number(a, b)))
        }
        _ => a == b,
    }
}

#[test]
fn whole_and_decimal_numbers_mix() {
    let input = json!({"whole": 3, "decimal": 0.5, "big": u64::MAX});
    for (source, expected) in [
        ("whole + decimal", "3.5"),
        ("decimal * whole", "1.5"),
        ("whole - 0.5 - decimal", "2"),
        ("whole / 2.0", "1.5"),
        ("whole / 2", "1"),
        ("whole > decimal && whole == 3.0 && decimal < 1", "true"),
        ("whole in [1.0, 3.0]", "true"),
        ("big - 1", "18446744073709551614"),
        ("big > whole && big + decimal > 0", "true"),
        ("[1, 2.5].map(x, x * 2)", "[2,5]"),
        ("-decimal", "-0.5"),
    ] {
        assert_eq!(run(source, &input).map(|v| v.to_string()), Ok(expected.into()), "{source}");
    }
}

#[test]
fn lists_of_numbers() {
    let input = json!({"mixed": [1, 2.5, 3], "cents": [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], "empty": []});
    for (source, expected) in [
        ("sum(mixed)", "6.5"),
        ("sum([1, 2, 3])", "6"),
        ("sum(empty)", "0"),
        ("sum(cents)", "1"),
        ("avg([1, 2])", "1.5"),
        ("avg(mixed) > 2", "true"),
        ("min(mixed)", "1"),
        ("max(mixed) + min([4, -2])", "1"),
        ("max([9223372036854775807, 9223372036854775806])", "9223372036854775807"),
        ("size(empty) == 0 ? null : avg(empty)", "null"),
    ] {
        assert_eq!(run(source, &input).map(|v| v.to_string()), Ok(expected.into()), "{source}");
    }
}

#[test]
fn variables_are_the_free_names_in_the_order_of_use() {
    let expression =
        compile("users.filter(u, u.id in limits.map(l, l.id + offset)).size() + size(users) + int(u)");
    let names: Vec<_> = expression.variables().iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["users", "limits", "offset", "u"]);
    assert_eq!(expression.variables()[1].position.column, 25);
}

#[test]
fn a_variable_may_be_called_like_a_type() {
    let input = json!({"list": [1, 2], "string": "text"});
    assert_eq!(run("size(list) + size(string)", &input), Ok(json!(6)));
    assert_eq!(run("type([]) == list", &json!({})), Ok(json!(true)));
}

proptest! {
    #[test]
    fn json_comes_back_as_it_went_in(value in json_value()) {
        let result = run("x", &json!({"x": value.clone()})).unwrap();
        prop_assert!(same_number(&result, &value), "{result} is not {value}");
    }

    #[test]
    fn sums_are_exact_for_whole_numbers(numbers in prop::collection::vec(-1_000_000_000_i64..1_000_000_000, 0..50)) {
        let result = run("sum(n)", &json!({"n": numbers})).unwrap();
        prop_assert_eq!(result, json!(numbers.iter().sum::<i64>()));
    }

    #[test]
    fn arithmetic_agrees_with_decimals(a in -1e9..1e9_f64, b in -1_000_000_i64..1_000_000) {
        let result = run("[a + b, a - b, a * b]", &json!({"a": a, "b": b})).unwrap();
        let b = b as f64;
        prop_assert!(same_number(&result, &json!([a + b, a - b, a * b])));
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e15..1e15_f64).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..8)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}
