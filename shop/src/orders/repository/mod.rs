//! The orders' tables: what was ordered, the work under way, clients' keys, and mail to be handed on.

mod journal;
mod keys;
mod orders;
mod outbox;

pub(super) use journal::{Begun, CancelBegun, Journal, Owner};
pub(super) use keys::{Key, Keys};
pub(super) use orders::{Filter, Orders};
pub(super) use outbox::{Outbox, Posted};
