//! The functions that an expression may call.

use std::sync::{Arc, LazyLock};

use cel::common::types::{self, Type};
use cel::{DeclarationError, Env};

use crate::{budget, lists, numbers};

/// What a source may call, besides the macros (`has`, `all`, `exists`, `exists_one`, `map`, `filter`), which are gone by
/// the time calls are checked. Optional values are left out: JSON has no form for them.
pub(crate) const CALLABLE: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "bytes",
    "int",
    "uint",
    "double",
    "bool",
    "type",
    "dyn",
    "sum",
    "avg",
    "min",
    "max",
];

/// Never changed once it is built.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    declare(&mut env).expect("the names of our functions are not taken by the standard library");
    Arc::new(env)
});

/// The standard library and our functions.
pub(crate) fn env() -> Arc<Env> {
    Arc::clone(&ENV)
}

fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let on_two = || -> Vec<Type> { vec![types::DYN_TYPE, types::DYN_TYPE, types::DYN_TYPE] };
    env.add_overload(budget::METER, "meter", budget::meter_types(), budget::meter)?;
    env.add_overload(numbers::ADD, "add", on_two(), numbers::add)?;
    env.add_overload(numbers::SUBTRACT, "subtract", on_two(), numbers::subtract)?;
    env.add_overload(numbers::MULTIPLY, "multiply", on_two(), numbers::multiply)?;
    env.add_overload(numbers::DIVIDE, "divide", on_two(), numbers::divide)?;
    env.add_overload("sum", "sum", vec![types::LIST_TYPE], lists::sum)?;
    env.add_overload("avg", "avg", vec![types::LIST_TYPE], lists::avg)?;
    env.add_overload("min", "min", vec![types::LIST_TYPE], lists::min)?;
    env.add_overload("max", "max", vec![types::LIST_TYPE], lists::max)?;
    Ok(())
}
