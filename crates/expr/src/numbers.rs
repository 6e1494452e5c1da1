//! Arithmetic over the numbers of JSON, where `100` and `100.0` are the same thing.
//!
//! Whole numbers stay whole and exact, and two of them divide as in CEL (`7 / 2` is 3); as soon as one operand is a
//! decimal, both are.

#![expect(clippy::needless_pass_by_value, reason = "cel gives arguments by value")]

use std::cmp::Ordering;

use cel::ExecutionError;
use cel::common::types::{CelDouble, CelInt, CelUInt};
use cel::common::value::{CowVal, Val};

use crate::budget;
use crate::error::mismatch;

pub(crate) const ADD: &str = "@+";
pub(crate) const SUBTRACT: &str = "@-";
pub(crate) const MULTIPLY: &str = "@*";
pub(crate) const DIVIDE: &str = "@/";

pub(crate) type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// A number of any of CEL's three types.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    /// Holds every `int` and `uint`.
    Whole(i128),
    Decimal(f64),
}

impl Number {
    pub(crate) fn of(value: &dyn Val) -> Option<Self> {
        if let Some(n) = value.downcast_ref::<CelInt>() {
            Some(Self::Whole(i128::from(*n.inner())))
        } else if let Some(n) = value.downcast_ref::<CelUInt>() {
            Some(Self::Whole(i128::from(*n.inner())))
        } else {
            value.downcast_ref::<CelDouble>().map(|n| Self::Decimal(*n.inner()))
        }
    }

    pub(crate) fn decimal(self) -> f64 {
        match self {
            Self::Whole(n) => n as f64,
            Self::Decimal(n) => n,
        }
    }

    pub(crate) fn into_val<'b, 'v>(self) -> Outcome<'b, 'v> {
        Ok(match self {
            Self::Decimal(n) => CowVal::owned(CelDouble::from(n)),
            Self::Whole(n) => match (i64::try_from(n), u64::try_from(n)) {
                (Ok(n), _) => CowVal::owned(CelInt::from(n)),
                (_, Ok(n)) => CowVal::owned(CelUInt::from(n)),
                _ => {
                    return Err(ExecutionError::function_error("@number", "a number is out of range"));
                }
            },
        })
    }

    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.decimal().partial_cmp(&b.decimal()),
        }
    }
}

pub(crate) fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let Some((a, b)) = numbers(&args) else {
        return concatenate(&args);
    };
    combine(a, b, i128::checked_add, |a, b| a + b)
}

pub(crate) fn subtract<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let (a, b) = numbers(&args).ok_or_else(|| unfit(SUBTRACT, &args))?;
    combine(a, b, i128::checked_sub, |a, b| a - b)
}

pub(crate) fn multiply<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let (a, b) = numbers(&args).ok_or_else(|| unfit(MULTIPLY, &args))?;
    combine(a, b, i128::checked_mul, |a, b| a * b)
}

pub(crate) fn divide<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let (a, b) = numbers(&args).ok_or_else(|| unfit(DIVIDE, &args))?;
    if matches!(b, Number::Whole(0)) {
        return Err(ExecutionError::function_error(DIVIDE, "division by zero"));
    }
    combine(a, b, i128::checked_div, |a, b| a / b)
}

fn combine<'b, 'v>(
    a: Number,
    b: Number,
    whole: fn(i128, i128) -> Option<i128>,
    decimal: fn(f64, f64) -> f64,
) -> Outcome<'b, 'v> {
    match (a, b) {
        // Two 64-bit numbers cannot overflow 128 bits; `into_val` refuses what does not fit 64.
        (Number::Whole(a), Number::Whole(b)) => Number::Whole(whole(a, b).unwrap_or(i128::MAX)).into_val(),
        (a, b) => Number::Decimal(decimal(a.decimal(), b.decimal())).into_val(),
    }
}

fn numbers(args: &[CowVal<'_, '_>]) -> Option<(Number, Number)> {
    Some((Number::of(args.first()?.as_ref())?, Number::of(args.get(1)?.as_ref())?))
}

/// `+` on texts, bytes and lists; what comes out is charged, for it may be long.
fn concatenate<'b, 'v>(args: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let [a, b, budget] = args else {
        return Err(ExecutionError::invalid_argument_count(3, args.len()));
    };
    budget::of(budget.as_ref())?.charge_weight(&args[..2], 0)?;
    let sum = a.as_adder().and_then(|adder| adder.add(b.as_ref()).ok());
    Ok(CowVal::from(sum.ok_or_else(|| unfit(ADD, args))?.into_owned()))
}

fn unfit(operator: &str, args: &[CowVal<'_, '_>]) -> ExecutionError {
    let types: Vec<_> = args.iter().take(2).map(|arg| arg.get_type().name().to_owned()).collect();
    ExecutionError::function_error(operator, mismatch(operator, &types))
}
