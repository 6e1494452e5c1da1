//! Reading a module's settings.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use trellis_sdk::Settings;
use trellis_sdk::core::error::Result;
use trellis_sdk::core::{Error, HumanDuration, codes};

/// A duration such as `8s`, within `range`.
pub(crate) fn duration(
    settings: &Settings,
    key: &str,
    default: Duration,
    range: RangeInclusive<Duration>,
) -> Result<Duration> {
    let Some(text) = settings.get(key) else { return Ok(default) };
    let duration = text.parse::<HumanDuration>().map_err(|why| wrong(key, &why))?.0;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (HumanDuration(*range.start()), HumanDuration(*range.end()));
    Err(wrong(key, &format!("{text} is not from {least} to {most}")))
}

/// A whole number within `range`.
pub(crate) fn number<T>(settings: &Settings, key: &str, default: T, range: RangeInclusive<T>) -> Result<T>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let Some(text) = settings.get(key) else { return Ok(default) };
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(wrong(
            key,
            &format!("{text:?} is not a whole number from {} to {}", range.start(), range.end()),
        )),
    }
}

/// A switch: `true` or `false`, off if absent.
pub(crate) fn switch(settings: &Settings, key: &str) -> Result<bool> {
    match settings.get(key) {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(text) => Err(wrong(key, &format!("{text:?} is neither true nor false"))),
    }
}

/// The refusal of a setting.
pub(crate) fn wrong(key: &str, why: &str) -> Error {
    Error::new(codes::INVALID_MANIFEST, format!("the setting {key} (see `env` in trellis.toml): {why}"))
}
