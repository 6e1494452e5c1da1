//! Policies that know nothing but what they are told: when a check has changed its mind, and when the end of many
//! leases is not believed.

pub(crate) mod judge;
pub(crate) mod protection;
