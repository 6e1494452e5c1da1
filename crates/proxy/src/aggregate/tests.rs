use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use trellis_core::codes;
use trellis_net::Body;

use super::{Aggregate, Failure, Fetched, Part, assemble, read_part};
use crate::compile;
use crate::table::{Lookup, Target, View};

/// Runs `test` on the aggregation of three parts with `compute`, which is TOML.
fn with_plan<T>(compute: &str, test: impl FnOnce(&Aggregate) -> T) -> T {
    let part = |name: &str| format!("{name} = {{ service = \"s\", get = \"/{name}\", max_bytes = 64 }}");
    let text = format!(
        "[[route]]\npath = '/d'\n[route.aggregate]\n{}\n{}\n{}\n[route.aggregate.compute]\n{compute}",
        part("users"),
        part("orders"),
        part("list"),
    );
    let table = compile(&toml::from_str(&text).expect("a model")).expect("no mistakes");
    let (head, ()) = Request::get("/d").body(()).expect("a request").into_parts();
    let Lookup::Route { route, .. } = table.lookup(&View::new(&head, None, false)) else {
        panic!("no route")
    };
    let Target::Aggregate(plan) = &route.target else { panic!("not an aggregation") };
    test(plan)
}

#[expect(clippy::unnecessary_wraps, reason = "stands beside failed() in lists")]
fn came(json: &'static str) -> Result<Fetched, Failure> {
    Ok(Fetched { json: Bytes::from(json), value: serde_json::from_str(json).ok() })
}

fn failed(detail: &str) -> Result<Fetched, Failure> {
    Err(Failure { code: "TRL1006".into(), detail: detail.into() })
}

/// The parts stand in the order of their names: list, orders, users.
fn text(plan: &Aggregate, fetched: [Result<Fetched, Failure>; 3]) -> String {
    let answer = assemble(plan, Vec::from(fetched)).expect("an answer");
    String::from_utf8(answer.json.to_vec()).expect("text")
}

#[test]
fn parts_come_first_then_what_is_computed_then_errors() {
    let compute = r#"
        "stats.users" = "size(users)"
        "stats.deep.revenue" = "sum(orders.map(o, o.amount))"
        "a" = "size(list) > 1"
    "#;
    let all = with_plan(compute, |plan| {
        text(plan, [came("[1,2]"), came(r#"[{"amount":100.0},{"amount":200.0}]"#), came("[{}]")])
    });
    assert_eq!(
        all,
        r#"{"list":[1,2],"orders":[{"amount":100.0},{"amount":200.0}],"users":[{}],"a":true,"stats":{"deep":{"revenue":300},"users":1}}"#
    );
    let partial = with_plan(compute, |plan| {
        text(plan, [came("[1,2]"), failed("orders did not answer in time"), came("[{}]")])
    });
    assert_eq!(
        partial,
        concat!(
            r#"{"list":[1,2],"orders":null,"users":[{}],"a":true,"stats":{"deep":{"revenue":null},"users":1},"#,
            r#""errors":[{"part":"orders","code":"TRL1006","detail":"orders did not answer in time"},"#,
            r#"{"compute":"stats.deep.revenue","code":"TRL1016","detail":"orders is missing"}]}"#
        )
    );
}

#[test]
fn data_that_does_not_fit_an_expression_is_an_error_of_that_member() {
    let whole = with_plan("total = 'sum(orders.map(o, o.amount))'\nn = 'size(orders)'", |plan| {
        text(plan, [came("1"), came(r#"[{"amount":"much"}]"#), came("null")])
    });
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!((&whole["total"], &whole["n"], &whole["users"]), (&Value::Null, &json!(1), &Value::Null));
    assert_eq!(whole["errors"][0]["detail"], "sum() needs a list of numbers, but element 0 is text");
}

#[test]
fn a_part_may_be_called_like_a_type_and_names_are_escaped() {
    let whole =
        with_plan(r#"'sa"y' = 'size(list)'"#, |plan| text(plan, [came("[1,2,3]"), came("1"), came("1")]));
    assert!(whole.ends_with(r#""sa\"y":3}"#), "{whole}");
}

#[test]
fn only_when_all_parts_fail_does_the_whole() {
    let error =
        with_plan("", |plan| assemble(plan, vec![failed("a"), failed("b"), failed("c")]).unwrap_err());
    assert_eq!(error.code(), codes::AGGREGATE_FAILED);
    let errors = error.extensions()["errors"].as_array().unwrap();
    assert_eq!(errors[1], json!({"part": "orders", "code": "TRL1006", "detail": "b"}));
}

fn read(status: u16, media_type: &str, body: &'static str) -> Result<Fetched, Failure> {
    let response =
        Response::builder().status(status).header("content-type", media_type).body(Body::from(body));
    let part = Part {
        name: "orders".into(),
        upstream: 0,
        get: "/orders".parse().expect("a path"),
        timeout: std::time::Duration::from_secs(1),
        max_bytes: 64,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(read_part(&part, response.expect("a response"), body.contains('7')))
}

#[test]
fn what_a_service_says_is_read_or_named() {
    assert_eq!(read(200, "application/json", "[7]").unwrap().value, Some(json!([7])));
    let unread = read(200, "text/plain", "[1.0]").unwrap();
    assert_eq!((unread.json, unread.value), (Bytes::from("[1.0]"), None));
    for (status, media_type, body, code, detail) in [
        (404, "text/plain", "no", "TRL1008", "orders answered with status 404"),
        (302, "text/html", "", "TRL1008", "orders answered with status 302"),
        (409, "application/problem+json", r#"{"code":"SHOP7","detail":"sold out"}"#, "SHOP7", "sold out"),
        (503, "application/problem+json; charset=utf-8", r#"{"title":"Busy"}"#, "TRL1008", "Busy"),
        (500, "application/problem+json", "{", "TRL1008", "orders answered with status 500"),
        (200, "application/json", "[1, 2", "TRL1008", "orders did not answer with JSON"),
        (200, "application/json", "[7] x", "TRL1008", "orders did not answer with JSON"),
        (204, "application/json", "", "TRL1008", "orders did not answer with JSON"),
        (
            200,
            "application/json",
            "[1111111111111111111111111111111111111111111111111111111111111111]",
            "TRL1008",
            "orders answered with more than 64 bytes",
        ),
    ] {
        let failure = Failure { code: code.into(), detail: detail.into() };
        assert_eq!(read(status, media_type, body).unwrap_err(), failure, "{status} {body}");
    }
}
