//! What an expression means, what is refused, and what it may cost.

mod bounds;
mod hostile;
mod meaning;
mod mistakes;

use serde_json::{Value, json};
use trellis_expr::{Error, Expression, Limits};

fn compile(source: &str) -> Expression {
    Expression::compile(source, Limits::default()).unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// Evaluates over the members of `input`.
fn run(source: &str, input: &Value) -> Result<Value, Error> {
    compile(source).evaluate(input.as_object().expect("an object"))
}

fn shop() -> Value {
    json!({
        "users": [{"id": 1, "name": "Alice"}, {"id": 2, "name": "Bob"}],
        "orders": [
            {"id": 1, "user_id": 1, "amount": 100.0, "status": "completed"},
            {"id": 2, "user_id": 2, "amount": 200.0, "status": "pending"},
            {"id": 3, "user_id": 2, "amount": 50, "status": "cancelled"},
        ],
    })
}
