//! JSON to CEL and back.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelType, CelUInt,
};
use cel::common::value::Val;
use serde_json::{Number, Value};

use crate::Error;
use crate::budget::{Budget, text_weight};
use crate::error::kind;

/// Whole numbers up to here are exact as decimals, and in every JSON reader.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Text is borrowed from the JSON value, all else is copied.
pub(crate) fn to_cel<'v>(value: &'v Value, budget: &Budget) -> Result<Box<dyn Val + 'v>, Error> {
    budget.charge(1)?;
    Ok(match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(*flag)),
        Value::Number(number) => number_to_cel(number),
        Value::String(text) => {
            budget.charge(text_weight(text.len()))?;
            Box::new(CelString::from(text.as_str()))
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| to_cel(item, budget)).collect::<Result<Vec<_>, _>>()?;
            Box::new(CelList::from(items))
        }
        Value::Object(members) => {
            let convert = |(name, member): (&'v String, &'v Value)| {
                Ok::<_, Error>((CelMapKey::from(name.as_str()), to_cel(member, budget)?))
            };
            Box::new(CelMap::from(members.iter().map(convert).collect::<Result<HashMap<_, _>, _>>()?))
        }
    })
}

fn number_to_cel<'v>(number: &Number) -> Box<dyn Val + 'v> {
    if let Some(whole) = number.as_i64() {
        Box::new(CelInt::from(whole))
    } else if let Some(whole) = number.as_u64() {
        Box::new(CelUInt::from(whole))
    } else {
        Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
    }
}

/// The result of an expression as JSON.
pub(crate) fn from_cel(value: &dyn Val) -> Result<Value, Error> {
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().map(|item| from_cel(item.as_ref())).collect();
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        return map
            .inner()
            .iter()
            .map(|(key, item)| Ok((key_text(key.inner())?, from_cel(item.as_ref())?)))
            .collect();
    }
    Ok(if value.downcast_ref::<CelNull>().is_some() {
        Value::Null
    } else if let Some(flag) = value.downcast_ref::<CelBool>() {
        (*flag.inner()).into()
    } else if let Some(whole) = value.downcast_ref::<CelInt>() {
        (*whole.inner()).into()
    } else if let Some(whole) = value.downcast_ref::<CelUInt>() {
        (*whole.inner()).into()
    } else if let Some(decimal) = value.downcast_ref::<CelDouble>() {
        decimal_to_json(*decimal.inner())?
    } else if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        text.inner().into()
    } else if let Some(name) = value.downcast_ref::<CelType>() {
        name.name().into()
    } else {
        let message = format!("the result is {}, which JSON cannot hold", kind(value.get_type().name()));
        return Err(Error::Evaluation(message));
    })
}

fn decimal_to_json(decimal: f64) -> Result<Value, Error> {
    if decimal.fract() == 0.0 && decimal.abs() <= EXACT {
        return Ok((decimal as i64).into());
    }
    let not_finite = || Error::Evaluation("the result is not a finite number".into());
    Number::from_f64(decimal).map(Value::Number).ok_or_else(not_finite)
}

fn key_text(key: &dyn Val) -> Result<String, Error> {
    match from_cel(key)? {
        Value::String(text) => Ok(text),
        other => Ok(other.to_string()),
    }
}
