//! The steps that one evaluation may take.
//!
//! The budget is a variable of the evaluation that no source can name. [`crate::rewrite`] puts calls of [`meter`] where
//! values are copied, compared or looped over; each call charges the size of its value.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::ExecutionError;
use cel::common::types::{self, CelBytes, CelInt, CelList, CelMap, CelString, Type};
use cel::common::value::{CowVal, StaticVal, Val};

use crate::Error;

/// The variable that holds the budget. `@` cannot be written in a source.
pub(crate) const NAME: &str = "@budget";

/// `@meter(value, fixed, per_element, @budget)` is `value`, and charges its weight, `fixed`, and `per_element` for each
/// of its elements.
pub(crate) const METER: &str = "@meter";

/// Text is copied, compared and searched in blocks: this many bytes count as one step.
const BYTES_PER_STEP: usize = 64;

static TYPE: Type = Type::new_unspecified_type(NAME);

/// Steps that are left; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<AtomicU64>);

impl Budget {
    pub(crate) fn new(steps: u64) -> Self {
        Self(Arc::new(AtomicU64::new(steps)))
    }

    /// Takes `steps`, or fails and leaves nothing: once it has failed it fails for ever.
    pub(crate) fn charge(&self, steps: u64) -> Result<(), Error> {
        // One evaluation runs on one thread; the atomic is for `Sync` only.
        let left = self.0.load(Ordering::Relaxed).saturating_sub(steps);
        self.0.store(left, Ordering::Relaxed);
        if left > 0 { Ok(()) } else { Err(Error::TooExpensive) }
    }

    /// Takes the weight of all `values`. Nothing is walked over when nothing is left: an expression that swallows errors
    /// (`a || true`) may go on asking.
    pub(crate) fn charge_weight(&self, values: &[CowVal<'_, '_>], more: u64) -> Result<(), ExecutionError> {
        let weigh = || values.iter().map(|value| weight(value.as_ref())).fold(more, u64::saturating_add);
        let charged = self.charge(1).and_then(|()| self.charge(weigh()));
        charged.map_err(|_| ExecutionError::function_error(NAME, "too many steps"))
    }
}

impl Val for Budget {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Budget {}

/// The steps it takes to walk over a value once.
fn weight(value: &dyn Val) -> u64 {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        text_weight(text.inner().len())
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        1 + list.inner().iter().map(|item| weight(item.as_ref())).sum::<u64>()
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        1 + map.inner().iter().map(|(key, item)| weight(key.inner()) + weight(item.as_ref())).sum::<u64>()
    } else if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        text_weight(bytes.inner().len())
    } else {
        1
    }
}

pub(crate) fn text_weight(bytes: usize) -> u64 {
    1 + (bytes / BYTES_PER_STEP) as u64
}

/// The implementation of [`METER`].
pub(crate) fn meter<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, fixed, per_element, budget] = args.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(4, args.len()));
    };
    let number = |value: &dyn Val| value.downcast_ref::<CelInt>().map_or(0, |n| n.inner().unsigned_abs());
    let elements = value.as_sizer().map_or(0, |sizer| sizer.size().inner().unsigned_abs());
    let loops = elements.saturating_mul(number(per_element.as_ref()));
    of(budget.as_ref())?.charge_weight(&args[..1], loops.saturating_add(number(fixed.as_ref())))?;
    Ok(args.swap_remove(0))
}

/// The budget behind the last argument of our own functions.
pub(crate) fn of<'b>(value: &'b (dyn Val + '_)) -> Result<&'b Budget, ExecutionError> {
    value.downcast_ref::<Budget>().ok_or_else(|| ExecutionError::function_error(NAME, "no budget"))
}

/// The declared types of [`METER`].
pub(crate) fn meter_types() -> Vec<Type> {
    vec![types::DYN_TYPE, types::INT_TYPE, types::INT_TYPE, types::DYN_TYPE]
}
