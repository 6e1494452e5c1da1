//! Measures the platform and the shop from outside, as clients and operators see them: start-up, memory, order rate,
//! what is left after services were killed under load, and what the gateway costs beside other proxies. Nothing of the
//! product is linked in; the programs beside this one are started and spoken to over HTTP.

pub mod audit;
pub mod chaos;
pub(crate) mod child;
pub mod client;
pub(crate) mod connection;
mod cores;
pub mod load;
pub mod measure;
pub mod money;
pub mod platform;
pub mod print;
pub mod procs;
pub mod proxy;
pub mod registry;
pub mod shop;
pub(crate) mod stop;
