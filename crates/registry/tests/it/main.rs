//! The registry as others see it: over real HTTP, on real databases, under load.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod checks;
mod child;
mod door;
mod durable;
mod leases;
mod overrides;
mod scale;
mod support;
mod together;
mod watching;
