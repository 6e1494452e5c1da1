//! Reading what clients send, as tolerantly as Consul does.

mod body;
mod duration;
mod object;
mod params;

pub(crate) use body::{Whole, read};
pub(crate) use duration::{format_duration, parse_duration};
pub(crate) use object::Object;
pub(crate) use params::{Params, path_rest};
