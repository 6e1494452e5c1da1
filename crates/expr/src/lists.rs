//! `sum`, `avg`, `min` and `max` over a list of numbers.

#![expect(clippy::needless_pass_by_value, reason = "cel gives arguments by value")]

use std::cmp::Ordering;

use cel::ExecutionError;
use cel::common::types::CelList;
use cel::common::value::{CowVal, Val};

use crate::error::kind;
use crate::numbers::{Number, Outcome};

pub(crate) fn sum<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    total(&list("sum", &args)?).into_val()
}

pub(crate) fn avg<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let numbers = not_empty("avg", list("avg", &args)?)?;
    Number::Decimal(total(&numbers).decimal() / numbers.len() as f64).into_val()
}

pub(crate) fn min<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    extreme("min", &args, Ordering::Less)
}

pub(crate) fn max<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    extreme("max", &args, Ordering::Greater)
}

fn extreme<'b, 'v>(function: &str, args: &[CowVal<'b, 'v>], wanted: Ordering) -> Outcome<'b, 'v> {
    let numbers = not_empty(function, list(function, args)?)?;
    let better = |best: Number, next: Number| {
        if next.compare(best) == Some(wanted) { next } else { best }
    };
    numbers.into_iter().reduce(better).unwrap_or(Number::Whole(0)).into_val()
}

fn list(function: &str, args: &[CowVal<'_, '_>]) -> Result<Vec<Number>, ExecutionError> {
    let items = args.first().and_then(|arg| arg.downcast_ref::<CelList<'_>>());
    let items = items.map_or(&[][..], CelList::inner).iter().map(AsRef::as_ref).enumerate();
    let number = |(index, item): (usize, &dyn Val)| {
        Number::of(item).ok_or_else(|| {
            let found = kind(item.get_type().name());
            own_error(function, &format!("needs a list of numbers, but element {index} is {found}"))
        })
    };
    items.map(number).collect()
}

fn not_empty(function: &str, numbers: Vec<Number>) -> Result<Vec<Number>, ExecutionError> {
    if numbers.is_empty() { Err(own_error(function, "has no answer for an empty list")) } else { Ok(numbers) }
}

fn own_error(function: &str, message: &str) -> ExecutionError {
    ExecutionError::function_error("@list", format!("{function}() {message}"))
}

/// Whole if all are. Decimals are added with the lost digits carried along (Neumaier), so that ten times 0.1 is 1.
fn total(numbers: &[Number]) -> Number {
    let mut whole = Some(0_i128);
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for &number in numbers {
        whole = match (whole, number) {
            (Some(total), Number::Whole(n)) => total.checked_add(n),
            _ => None,
        };
        let next = number.decimal();
        let new = sum + next;
        lost += if sum.abs() >= next.abs() { (sum - new) + next } else { (next - new) + sum };
        sum = new;
    }
    let corrected = sum + lost;
    // Infinities make the correction itself meaningless.
    whole.map_or(Number::Decimal(if corrected.is_nan() { sum } else { corrected }), Number::Whole)
}
