//! What the demo data of the modules have in common. Each module keeps its own, in its own tables; together they tell
//! one story: Alice has bought a keyboard, Bob has begun to buy a monitor.

use trellis_sdk::Settings;
use trellis_sdk::core::error::Result;
use uuid::Uuid;

use crate::settings;

/// Links Alice's order, its reservation and its payment.
pub(crate) const FIRST_ATTEMPT: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
/// The same for Bob's, which got no further than that.
pub(crate) const SECOND_ATTEMPT: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002);
/// The article in Alice's order.
pub(crate) const FIRST_SKU: &str = "keyboard";
/// Its price, in minor units.
pub(crate) const FIRST_AMOUNT: i64 = 10_000;
/// The article in Bob's.
pub(crate) const SECOND_SKU: &str = "monitor";
/// Its price, in minor units.
pub(crate) const SECOND_AMOUNT: i64 = 20_000;

/// Whether demo data are asked for.
pub(crate) fn wanted(settings: &Settings) -> Result<bool> {
    settings::switch(settings, "SHOP_DEMO")
}
