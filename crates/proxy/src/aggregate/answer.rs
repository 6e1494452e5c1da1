//! The parts put together: first the parts, then what is computed from them, then what went wrong.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use trellis_core::{Error, codes};

use super::{Aggregate, Computed, Failure, Fetched};

/// What the client gets.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) json: Bytes,
    /// The code of the first thing that went wrong.
    pub(crate) flag: Option<String>,
}

/// What went wrong with a part, or with what is computed from some.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compute: Option<&'a str>,
    code: String,
    detail: String,
}

/// Puts `fetched`, which are the parts in their order, together. TRL1011 if there is none.
pub(crate) fn assemble(
    aggregate: &Aggregate,
    fetched: Vec<Result<Fetched, Failure>>,
) -> Result<Answer, Error> {
    let mut out =
        Vec::with_capacity(64 + fetched.iter().flatten().map(|part| part.json.len() + 32).sum::<usize>());
    let (mut inputs, mut errors, mut any) = (Map::new(), Vec::new(), false);
    for (part, result) in aggregate.parts.iter().zip(fetched) {
        let json = match result {
            Ok(Fetched { json, value }) => {
                any = true;
                inputs.extend(value.map(|value| (part.name.clone(), value)));
                json
            }
            Err(Failure { code, detail }) => {
                errors.push(Entry { part: Some(&part.name), compute: None, code: code.into_owned(), detail });
                Bytes::from_static(b"null")
            }
        };
        member(&mut out, &part.name, &json);
    }
    if !any {
        let detail = "no service that this answer is made of has answered";
        let errors = serde_json::to_value(errors).unwrap_or_default();
        return Err(Error::new(codes::AGGREGATE_FAILED, detail).with("errors", errors));
    }
    let mut computed = Map::new();
    for field in &aggregate.computed {
        let value = compute(aggregate, field, &inputs).unwrap_or_else(|detail| {
            let code = codes::COMPUTE_FAILED.id.into();
            errors.push(Entry { part: None, compute: Some(&field.target), code, detail });
            Value::Null
        });
        insert(&mut computed, &field.target, value);
    }
    for (name, value) in &computed {
        member(&mut out, name, value.to_string().as_bytes());
    }
    if !errors.is_empty() {
        member(&mut out, "errors", &serde_json::to_vec(&errors).unwrap_or_default());
    }
    out.push(b'}');
    let flag = errors.into_iter().next().map(|error| error.code);
    Ok(Answer { json: out.into(), flag })
}

fn compute(aggregate: &Aggregate, field: &Computed, inputs: &Map<String, Value>) -> Result<Value, String> {
    let uses = |name: &str| field.expression.uses(name) && !inputs.contains_key(name);
    match aggregate.parts.iter().find(|part| uses(&part.name)) {
        Some(missing) => Err(format!("{} is missing", missing.name)),
        None => field.expression.evaluate(inputs).map_err(|error| error.to_string()),
    }
}

/// Appends `"name":json` to an object under construction.
fn member(out: &mut Vec<u8>, name: &str, json: &[u8]) {
    out.push(if out.is_empty() { b'{' } else { b',' });
    out.extend_from_slice(Value::from(name).to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(json);
}

/// Puts a value where a dotted target says. No target lies inside another: [`crate::compile`] has seen to that.
fn insert(object: &mut Map<String, Value>, target: &str, value: Value) {
    match target.split_once('.') {
        None => {
            object.insert(target.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = object.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
